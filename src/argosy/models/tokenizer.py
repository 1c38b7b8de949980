"""Tokeniser of the embedding service and the chunker: text to token ids, lengths and offsets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import tokenizers

from argosy.contracts.errors import InvalidRequest, ModelMissing
from argosy.models.integrity import unreadable

Offsets = list[tuple[int, int]]
"""Pairs of (start, end) of each token in characters of the text, end exclusive."""

NOT_UNICODE = "A text is not valid Unicode: it contains half of a surrogate pair. Remove it."


def tokenizer_in(folder: Path) -> tokenizers.Tokenizer:
    """Return the tokeniser of the folder's tokenizer.json. Raises: ModelMissing when it is absent or broken."""
    try:
        return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises plain Exception for both cases
        raise unreadable(folder / "tokenizer.json", "it is not a tokenizer") from error


class TextTokenizer:
    """Tokeniser that never changes after construction, so threads may share it.

    The padding and truncation in tokenizer.json are switched off, because they are left over from training. Truncation
    to `max_tokens` (special tokens included) happens here.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, max_tokens: int) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.special_tokens: int = tokenizer.num_special_tokens_to_add(False)
        """Number of tokens that the model adds to every text."""
        self.vocabulary: int = tokenizer.get_vocab_size()
        """Size of the vocabulary; ids are below it."""
        if max_tokens <= self.special_tokens:
            raise ModelMissing(f"The model reads {max_tokens} tokens, which leaves no room beside its special tokens.")
        self.splits_at_space = isinstance(tokenizer.pre_tokenizer, tokenizers.pre_tokenizers.BertPreTokenizer)
        """Whether a slice cut at white space has the same tokens as inside the whole text."""

    @classmethod
    def load(cls, folder: Path, max_tokens: int) -> TextTokenizer:
        """Load the folder's tokenizer.json.

        Raises: ModelMissing when it is absent or broken.
        """
        return cls(tokenizer_in(folder), max_tokens)

    def fingerprint(self) -> str:
        """Return 16 hex digits of all of tokenizer.json except padding and truncation, which are not used."""
        return hashlib.sha256(self._tokenizer.to_str().encode()).hexdigest()[:16]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, with special tokens and before truncation.

        A text of more than `max_tokens` will be truncated.

        Raises: InvalidRequest when a text is not valid Unicode.
        """
        return [len(encoding.ids) + self.special_tokens for encoding in self._encode(texts)]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text as the model sees it, without padding.

        They include special tokens and are at most `max_tokens`.

        Raises: InvalidRequest when a text is not valid Unicode.
        """
        room = self.max_tokens - self.special_tokens
        encodings = self._encode(texts)
        for encoding in encodings:
            if len(encoding.ids) > room:
                encoding.truncate(room)
        return [self._tokenizer.post_process(encoding).ids for encoding in encodings]

    def ids_and_offsets(self, texts: Sequence[str]) -> list[tuple[list[int], Offsets]]:
        """Return `ids` of each text, and the offsets of these tokens. Special tokens have the offsets (0, 0).

        Raises: InvalidRequest when a text is not valid Unicode.
        """
        room = self.max_tokens - self.special_tokens
        found = []
        for encoding in self._encode_with_offsets(texts):
            if len(encoding.ids) > room:
                encoding.truncate(room)
            whole = self._tokenizer.post_process(encoding)
            found.append((whole.ids, whole.offsets))
        return found

    def windows(self, text: str, room: int) -> list[str]:
        """Split the text into consecutive pieces of at most `room` tokens each, special tokens not counted.

        The pieces cover the whole text. Cuts are where a word begins, so that a piece has the same tokens as in the
        text; a word is cut only when it alone is too long. A single character of more than `room` tokens stays whole.
        """
        (encoding,) = self._encode_with_offsets([text])
        starts, words = [start for start, _ in encoding.offsets], encoding.word_ids
        pieces, begin, first = [], 0, 0
        while len(starts) - first > room:
            cut = _word_start(words, first, first + room)
            while cut < len(starts) and starts[cut] <= begin:  # tokens of one character stay together
                cut += 1
            if cut == len(starts):
                break
            pieces.append(text[begin : starts[cut]])
            begin, first = starts[cut], cut
        pieces.append(text[begin:])
        if len(pieces) == 1:
            return pieces
        lengths = [len(found.ids) for found in self._encode(pieces)]
        return [
            part
            for piece, length in zip(pieces, lengths, strict=True)
            for part in ([piece] if length <= room else self.windows(piece, room))
        ]

    def encode_offsets(self, text: str) -> Offsets:
        """Return the offsets of every token of the text, in order, without special tokens and truncation."""
        return self.encode_offsets_batch([text])[0]

    def encode_offsets_batch(self, texts: Sequence[str]) -> list[Offsets]:
        """Return `encode_offsets` of each text, computed in parallel over the processor's cores."""
        return [encoding.offsets for encoding in self._encode_with_offsets(texts)]

    def _encode_with_offsets(self, texts: Sequence[str]) -> list[tokenizers.Encoding]:
        try:
            return self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        except TypeError as error:
            raise InvalidRequest(NOT_UNICODE) from error

    def _encode(self, texts: Sequence[str]) -> list[tokenizers.Encoding]:
        try:
            return self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        except TypeError as error:
            raise InvalidRequest(NOT_UNICODE) from error


def _word_start(words: Sequence[int | None], after: int, until: int) -> int:
    """Return the last token in (after, until] that begins a word, or `until` when one word spans them all."""
    for token in range(until, after, -1):
        if words[token] != words[token - 1]:
            return token
    return until
