"""Arrival processes: the moments at which requests arrive.

Each process is drawn completely before the run, so that all strategies see the same arrivals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Arrivals(Protocol):
    @property
    def mean_rps(self) -> float:
        """Long-run mean rate."""
        ...

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        """Return `count` arrival moments in seconds, ascending from 0."""
        ...


@dataclass(frozen=True, slots=True)
class Poisson:
    rate_rps: float

    @property
    def mean_rps(self) -> float:
        return self.rate_rps

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        return np.cumsum(rng.exponential(1 / self.rate_rps, count))


@dataclass(frozen=True, slots=True)
class Regular:
    """Arrivals at equal intervals."""

    rate_rps: float

    @property
    def mean_rps(self) -> float:
        return self.rate_rps

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        return np.arange(1, count + 1) / self.rate_rps


@dataclass(frozen=True, slots=True)
class Phases:
    """Poisson arrivals at a rate that changes in steps. The last step has no end."""

    steps: tuple[tuple[float, float], ...]
    """Pairs of step length in seconds and rate in requests per second."""

    @property
    def mean_rps(self) -> float:
        return sum(s * rps for s, rps in self.steps) / sum(s for s, _ in self.steps)

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        lengths_s, rates_rps = (np.array(column) for column in zip(*self.steps, strict=True))
        return _inhomogeneous(lengths_s, rates_rps, count, rng)


@dataclass(frozen=True, slots=True)
class Bursty:
    """Markov-modulated Poisson arrivals: calm periods and bursts alternate, each of exponential length."""

    calm_rps: float
    burst_rps: float
    calm_s: float
    burst_s: float

    @property
    def mean_rps(self) -> float:
        return (self.calm_rps * self.calm_s + self.burst_rps * self.burst_s) / (self.calm_s + self.burst_s)

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        cycles = 2 + math.ceil(2 * count / (self.mean_rps * (self.calm_s + self.burst_s)))
        lengths_s = rng.exponential((self.calm_s, self.burst_s), (cycles, 2)).ravel()
        return _inhomogeneous(lengths_s, np.tile((self.calm_rps, self.burst_rps), cycles), count, rng)


@dataclass(frozen=True, slots=True)
class Diurnal:
    """Poisson arrivals at a rate that follows a sine: a day, shortened to `period_s`."""

    mean_rps: float
    swing: float
    """Share of the mean by which the rate rises and falls."""
    period_s: float

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        steps = 96
        periods = 1 + math.ceil(2 * count / (self.mean_rps * self.period_s))
        wave = self.mean_rps * (1 - self.swing * np.cos(2 * np.pi * (np.arange(steps) + 0.5) / steps))
        lengths_s = np.full(steps * periods, self.period_s / steps)
        return _inhomogeneous(lengths_s, np.tile(wave, periods), count, rng)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Arrival moments of a trace, repeated when the trace is shorter than the run. The generator is not used."""

    moments_s: tuple[float, ...]
    """Moments in seconds, ascending."""

    @property
    def mean_rps(self) -> float:
        return len(self.moments_s) / self._length_s

    @property
    def _length_s(self) -> float:
        first_s, last_s = self.moments_s[0], self.moments_s[-1]
        return max(1e-3, (last_s - first_s) * len(self.moments_s) / max(1, len(self.moments_s) - 1))

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        moments_s = np.array(self.moments_s) - self.moments_s[0]
        rounds = -(-count // len(moments_s))
        starts_s = np.arange(rounds) * self._length_s
        return (starts_s[:, None] + moments_s[None, :]).ravel()[:count]


@dataclass(frozen=True, slots=True)
class Counted:
    """Given counts of arrivals in each second, at random moments of the second, repeated when shorter than the run."""

    counts: tuple[int, ...]

    @property
    def mean_rps(self) -> float:
        return sum(self.counts) / len(self.counts)

    def draw(self, count: int, rng: np.random.Generator) -> FloatArray:
        rounds = -(-count // sum(self.counts))
        counts = np.tile(np.array(self.counts), rounds)
        moments_s = np.repeat(np.arange(len(counts)), counts) + rng.random(int(counts.sum()))
        return np.sort(moments_s)[:count]


def _inhomogeneous(lengths_s: FloatArray, rates_rps: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Draw a Poisson process by inversion: map unit-rate arrivals through the inverse of the cumulative rate."""
    expected = np.concatenate(((0.0,), np.cumsum(lengths_s * rates_rps)))
    times_s = np.concatenate(((0.0,), np.cumsum(lengths_s)))
    units = np.cumsum(rng.exponential(1.0, count))
    inside = np.interp(units, expected, times_s)
    beyond = np.maximum(0.0, units - expected[-1]) / rates_rps[-1]
    moments_s: FloatArray = inside + beyond
    return moments_s
