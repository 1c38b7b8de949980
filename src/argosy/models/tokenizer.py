"""Text to token ids, lengths and offsets: one tokeniser for the embedding service and the chunker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tokenizers

from argosy.contracts.errors import InvalidRequest, ModelMissing

Offsets = list[tuple[int, int]]
"""(start, end) of each token in characters of the text, end exclusive."""

NOT_UNICODE = "A text is not valid Unicode (it holds half of a surrogate pair)."


class TextTokenizer:
    """Never changes after construction, so threads may share one.

    The padding and truncation inside tokenizer.json are switched off: they are leftovers of training.
    Truncation to `max_tokens` (special tokens included) happens here.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, max_tokens: int) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.special_tokens: int = tokenizer.num_special_tokens_to_add(False)
        """How many tokens the model adds to every text."""
        self.splits_at_space = isinstance(tokenizer.pre_tokenizer, tokenizers.pre_tokenizers.BertPreTokenizer)
        """Whether a slice that is cut at white space has the tokens it had inside the whole text."""

    @classmethod
    def load(cls, folder: Path, max_tokens: int) -> TextTokenizer:
        """From the folder's tokenizer.json. Raises: ModelMissing."""
        try:
            return cls(tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")), max_tokens)
        except Exception as error:  # the library raises plain Exception for a missing and for a broken file
            raise ModelMissing("The model's tokenizer.json cannot be read.") from error

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text with special tokens and before truncation: more than `max_tokens` means truncated."""
        return [len(encoding.ids) + self.special_tokens for encoding in self._encode(texts)]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text as the model sees it: with special tokens, at most `max_tokens`, not padded."""
        room = self.max_tokens - self.special_tokens
        encodings = self._encode(texts)
        for encoding in encodings:
            if len(encoding.ids) > room:
                encoding.truncate(room)
        return [self._tokenizer.post_process(encoding).ids for encoding in encodings]

    def encode_offsets(self, text: str) -> Offsets:
        """Offsets of every token of the text, in order: no special tokens, no truncation."""
        return self.encode_offsets_batch([text])[0]

    def encode_offsets_batch(self, texts: Sequence[str]) -> list[Offsets]:
        """`encode_offsets` of each text, in parallel over the processor's cores."""
        try:
            encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        except TypeError as error:
            raise InvalidRequest(NOT_UNICODE) from error
        return [encoding.offsets for encoding in encodings]

    def _encode(self, texts: Sequence[str]) -> list[tokenizers.Encoding]:
        try:
            return self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        except TypeError as error:
            raise InvalidRequest(NOT_UNICODE) from error
