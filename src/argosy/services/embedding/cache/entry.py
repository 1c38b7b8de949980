"""What the cache holds and what it gives back."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]


class Level(enum.StrEnum):
    """Where a vector was found."""

    MEMORY = "memory"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class CachedVector:
    """One text's vector, and what it cost.

    `vector` is one-dimensional float32, and nobody may write to it: a hit hands out the very array that the cache
    holds. `tokens` is what the model read of the text, `truncated` whether there was more. `seconds` is the compute
    that the text took, a share of its batch's; a later hit counts it as saved.
    """

    vector: Vector
    tokens: int
    truncated: bool
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    value: CachedVector
    level: Level
