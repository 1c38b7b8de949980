"""Bands around a forecast that keep their coverage: quantiles of past errors, at levels that adapt. Pure.

Errors are divided by their recent size, so that quiet nights and busy days share one distribution. The level of each
side moves with every miss (adaptive conformal inference, Gibbs and Candès 2021).
"""

from __future__ import annotations

import bisect
import functools
import math
import struct
from collections.abc import Sequence

import msgspec
import numpy as np

COVERAGE = 0.95
SIDE = (1 - COVERAGE) / 2
STEP = 0.0005
"""Change of a level with each miss.

The outcome of a forecast 10 min ahead is known 10 min later. In a burst, all those minutes are missed, and steps of
0.003 would drive the level to the largest error ever, for hours.
"""
KEPT = 1440
LEAST = 60
SHORT_MIN, LONG_MIN = 60.0, 1440.0
"""Time constants of the two means of the size of errors.

A mean over an hour alone forgets the usual size while a series stands still. The first errors after that would be a
million times the usual size, and would spoil the band of the next day.
"""
LARGEST = 100.0
"""Limit of an error, in multiples of its usual size."""
WIDEN = 0.01
WIDEST = 8.0

_FLOAT = struct.Struct("<f")

Band = tuple[float, float]


class Bands(msgspec.Struct, dict=True):
    """Band of one forecaster and horizon."""

    errors: bytes = b""
    """Scaled errors as float32, newest last; at most KEPT."""
    short: float = 0.0
    long: float = 0.0
    """Recent mean absolute errors."""
    below: float = SIDE
    above: float = SIDE
    covered: int = 0
    scored: int = 0

    @property
    def scale(self) -> float:
        return (self.short + self.long) / 2

    def around(self, point: float) -> Band | None:
        """Return the band around a forecast; None until LEAST errors are known."""
        ordered, scale = self._ordered, self.scale
        if len(ordered) < LEAST or scale <= 0:
            return None
        low = point + scale * _quantile(ordered, self.below)
        high = point + scale * _quantile(ordered, 1 - self.above)
        return max(0.0, min(low, point)), max(high, point)

    def take(self, point: float, band: Band | None, value: float) -> None:
        """Learn the actual value of a forecast and its band. Values come in order of time."""
        error = value - point
        if band is not None:
            low, high = value < band[0], value > band[1]
            self.below = _stepped(self.below, low)
            self.above = _stepped(self.above, high)
            self.covered += not (low or high)
            self.scored += 1
        scale, size = self.scale, abs(error)
        if scale <= 0:
            self.short = self.long = size
            return
        self._keep(min(LARGEST, max(-LARGEST, error / scale)))
        self.short += (size - self.short) / SHORT_MIN
        self.long += (size - self.long) / LONG_MIN

    def _keep(self, error: float) -> None:
        ordered, packed = self._ordered, _FLOAT.pack(error)
        bisect.insort(ordered, _FLOAT.unpack(packed)[0])
        self.errors += packed
        if len(ordered) > KEPT:
            del ordered[bisect.bisect_left(ordered, _FLOAT.unpack_from(self.errors)[0])]
            self.errors = self.errors[_FLOAT.size :]

    @functools.cached_property
    def _ordered(self) -> list[float]:
        """Errors in ascending order."""
        return sorted(np.frombuffer(self.errors, "<f4").tolist())


class Stretch(msgspec.Struct):
    """Factors that widen or narrow a given band so that it keeps its coverage.

    The factor of each side grows with a miss and shrinks otherwise, in proportion to the allowed share of misses.
    """

    below: float = 1.0
    above: float = 1.0
    covered: int = 0
    scored: int = 0

    def around(self, point: float, band: Band) -> Band:
        low, high = band
        return max(0.0, point - self.below * max(0.0, point - low)), point + self.above * max(0.0, high - point)

    def take(self, band: Band, value: float) -> None:
        low, high = value < band[0], value > band[1]
        self.below, self.above = _stretched(self.below, low), _stretched(self.above, high)
        self.covered += not (low or high)
        self.scored += 1


def _quantile(ordered: Sequence[float], level: float) -> float:
    """Return the quantile of sorted values. Beyond the ends, it grows with the distance of the level from the end."""
    count = len(ordered)
    rank = level * (count + 1) - 1
    low = min(max(math.floor(rank), 0), count - 1)
    high = min(low + 1, count - 1)
    value = ordered[low] + (ordered[high] - ordered[low]) * min(max(rank - low, 0.0), 1.0)
    if level >= 1 or level <= 0:
        return value * (1 + 20 * (level - 1 if level >= 1 else -level))
    return value


def _stepped(level: float, missed: bool) -> float:
    return min(0.25, max(-0.05, level + STEP * (SIDE - missed)))


def _stretched(factor: float, missed: bool) -> float:
    return min(WIDEST, max(1 / WIDEST, factor * math.exp(WIDEN * (missed - SIDE))))
