"""Counts of a language model's tokens: by its own tokenizer where it is known, otherwise by a safe estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

from argosy.contracts.errors import StartError

ASCII_CHARS_PER_TOKEN = 3.0
"""English prose has about 4.3 characters for each token of common models, program code about 3."""
TOKENS_PER_OTHER_CHAR = 1.0


class TokenCounter(Protocol):
    async def counts(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, in order."""
        ...


class EstimatedTokens:
    """Estimate that is seldom too low: digits and letters beyond ASCII count one token each."""

    async def counts(self, texts: Sequence[str]) -> list[int]:
        return [estimate(text) for text in texts]


def estimate(text: str) -> int:
    plain = sum(char.isascii() and not char.isdigit() for char in text)
    return math.ceil(plain / ASCII_CHARS_PER_TOKEN + (len(text) - plain) * TOKENS_PER_OTHER_CHAR)


class CountedTokens:
    """Exact count by a file `tokenizer.json`."""

    def __init__(self, path: str) -> None:
        """Load the tokenizer.

        Raises: StartError when the file is missing or is not a tokenizer.
        """
        file = Path(path).expanduser()
        if not file.is_file():
            raise StartError(f"services.generation.tokenizer = {path!r} is not a file. Correct it or remove it.")
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare exceptions
            raise StartError(
                f"services.generation.tokenizer = {path!r} is not a tokenizer.json. Correct it or remove it."
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    async def counts(self, texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]
