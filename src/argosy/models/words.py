"""Tokeniser without a model, for the fake embedder: each word is a token."""

from __future__ import annotations

import re

WORD = re.compile(r"\w+")


class WordTokenizer:
    splits_at_space = True
    """Whether a slice cut at white space has the same tokens as inside the whole text."""

    def encode_offsets(self, text: str) -> list[tuple[int, int]]:
        """Return (start, end) of each word in characters of the text, end exclusive."""
        return [match.span() for match in WORD.finditer(text)]
