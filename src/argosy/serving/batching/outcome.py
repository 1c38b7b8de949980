"""What may leave the batcher: vectors that are some, and the error of a text that is too long."""

from __future__ import annotations

import numpy as np

from argosy.contracts.errors import InvalidRequest
from argosy.contracts.vectors import Vectors

UNIT_TOLERANCE = 0.05
"""How far from 1 the length of a vector may be: half precision is not exact, a broken vector is further off."""


def usable(vectors: Vectors) -> list[bool]:
    """Of each row whether it is a vector of unit length: no zeros, no NaN, no infinity."""
    with np.errstate(all="ignore"):
        good: list[bool] = (np.abs(np.linalg.norm(vectors, axis=1) - 1.0) < UNIT_TOLERANCE).tolist()
    return good


class TextTooLong(InvalidRequest):
    """A text is beyond the model's window, and is not to be cut."""


def too_long(tokens: int, limit: int) -> TextTooLong:
    return TextTooLong(
        f"It has {tokens} tokens, the limit is {limit}. Shorten it, or set services.embedding.long_texts to split "
        "or truncate."
    )
