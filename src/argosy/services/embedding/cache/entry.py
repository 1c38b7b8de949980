"""Entries and hits of the cache."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]


class Level(enum.StrEnum):
    """Level in which a vector was found."""

    MEMORY = "memory"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class CachedVector:
    """Vector of one text, or the vectors of the text and its spans one after another, and their cost.

    `vector` is one-dimensional float32 and must not be written to: a hit returns the array that the cache holds.
    `tokens` is the number of tokens that the model read, and `truncated` says whether the text had more. `seconds` is
    the compute that the text took, its share of its batch; a later hit counts it as saved.
    """

    vector: Vector
    tokens: int
    truncated: bool
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    value: CachedVector
    level: Level
