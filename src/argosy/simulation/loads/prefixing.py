"""Distributions of prompt prefixes. Each prefix is a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


class Prefixing(Protocol):
    def draw(self, count: int, rng: np.random.Generator) -> IntArray: ...


@dataclass(frozen=True, slots=True)
class Zipf:
    """Zipf popularity: the k-th most popular of `count` prefixes is drawn in proportion to 1 / k^exponent."""

    count: int
    exponent: float

    def draw(self, count: int, rng: np.random.Generator) -> IntArray:
        popularity = 1.0 / np.arange(1, self.count + 1) ** self.exponent
        return rng.choice(self.count, size=count, p=popularity / popularity.sum())


@dataclass(frozen=True, slots=True)
class Written:
    """Prefixes of a trace, in its order and repeated as needed. The generator is not used."""

    prefixes: tuple[int, ...]

    def draw(self, count: int, rng: np.random.Generator) -> IntArray:
        return np.resize(np.array(self.prefixes, np.int64), count)
