"""Tokeniser of a cross-encoder: pairs of a query and a passage to token ids and token types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from argosy.contracts.errors import InvalidRequest, ModelMissing
from argosy.models.tokenizer import NOT_UNICODE, tokenizer_in


@dataclass(frozen=True, slots=True)
class PairTokens:
    """Tokens of one pair, without padding. `types` holds 0 for a token of the query and 1 for one of the passage."""

    ids: list[int]
    types: list[int]
    cut: bool
    """Whether the pair is longer than the limit, so that its end was left out."""


class PairTokenizer:
    """Tokeniser that never changes after construction, so threads may share it.

    A pair that is too long loses tokens of its longer text first, as in sentence-transformers.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, max_tokens: int) -> None:
        special = tokenizer.num_special_tokens_to_add(True)
        if max_tokens <= special + 1:
            raise ModelMissing(f"The model reads {max_tokens} tokens, which leaves no room for a query and a passage.")
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        self._tokenizer = tokenizer
        self.vocabulary: int = tokenizer.get_vocab_size()
        """Size of the vocabulary; ids are below it."""

    @classmethod
    def load(cls, folder: Path, max_tokens: int) -> PairTokenizer:
        """Load the folder's tokenizer.json.

        Raises: ModelMissing when it is absent or broken.
        """
        return cls(tokenizer_in(folder), max_tokens)

    def pairs(self, query: str, passages: Sequence[str]) -> list[PairTokens]:
        """Return the tokens of the query with each passage.

        Raises: InvalidRequest when a text is not valid Unicode.
        """
        try:
            found = self._tokenizer.encode_batch_fast([(query, passage) for passage in passages])
        except TypeError as error:
            raise InvalidRequest(NOT_UNICODE) from error
        return [PairTokens(one.ids, one.type_ids, bool(one.overflowing)) for one in found]
