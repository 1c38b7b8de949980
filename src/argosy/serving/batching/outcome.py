"""Checks of the batcher's results: usable vectors, and the error for a text that is too long."""

from __future__ import annotations

import numpy as np

from argosy.contracts.errors import InvalidRequest
from argosy.contracts.vectors import Vectors

UNIT_TOLERANCE = 0.05
"""Largest deviation of a vector's length from 1. Half precision is inexact; a broken vector deviates more."""


def usable(vectors: Vectors) -> list[bool]:
    """Return for each row whether it is a vector of unit length: not zero, no NaN, no infinity."""
    with np.errstate(all="ignore"):
        good: list[bool] = (np.abs(np.linalg.norm(vectors, axis=1) - 1.0) < UNIT_TOLERANCE).tolist()
    return good


class TextTooLong(InvalidRequest):
    """A text is longer than the model's window and must not be truncated."""


def too_long(tokens: int, limit: int) -> TextTooLong:
    """Return the error for a text of `tokens` tokens where `limit` are allowed."""
    return TextTooLong(
        f"The text has {tokens} tokens, the limit is {limit}. Shorten it, or set services.embedding.long_texts to "
        "split or truncate."
    )
