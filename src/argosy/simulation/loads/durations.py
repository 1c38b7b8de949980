"""Distributions of work: the time a request takes alone at normal speed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from argosy.simulation.loads.arrivals import FloatArray


class Durations(Protocol):
    @property
    def mean_s(self) -> float: ...

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class Lognormal:
    mean_s: float
    sigma: float
    """Standard deviation of the logarithm."""

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        return rng.lognormal(math.log(self.mean_s) - self.sigma**2 / 2, self.sigma, count)


@dataclass(frozen=True, slots=True)
class Exponential:
    mean_s: float

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        return rng.exponential(self.mean_s, count)


@dataclass(frozen=True, slots=True)
class Constant:
    mean_s: float

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        return np.full(count, self.mean_s)


@dataclass(frozen=True, slots=True)
class Measured:
    """Durations of a trace, in its order and repeated as needed. The generator is not used."""

    work_s: tuple[float, ...]

    @property
    def mean_s(self) -> float:
        return sum(self.work_s) / len(self.work_s)

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        return np.resize(np.array(self.work_s), count)
