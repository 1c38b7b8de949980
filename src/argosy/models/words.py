"""A tokenizer without a model: a word is a token. Goes with the fake embedder."""

from __future__ import annotations

import re

WORD = re.compile(r"\w+")


class WordTokenizer:
    splits_at_space = True
    """A slice that is cut at white space has the tokens it had inside the whole text."""

    def encode_offsets(self, text: str) -> list[tuple[int, int]]:
        """(start, end) of each word in characters of the text, end exclusive."""
        return [match.span() for match in WORD.finditer(text)]
