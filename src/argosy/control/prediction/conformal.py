"""Bands around a forecast that keep their coverage: quantiles of past errors, at levels that adapt. Pure.

Errors are divided by the size they had of late, so that quiet nights and busy days share one distribution; each side's
level moves with every miss (adaptive conformal inference, Gibbs and Candès 2021).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import msgspec

COVERAGE = 0.95
SIDE = (1 - COVERAGE) / 2
STEP = 0.003
KEPT = 1440
LEAST = 60
SCALE_MIN = 60.0


class Bands(msgspec.Struct):
    """Of one horizon."""

    errors: list[float] = []
    """Scaled, the newest last; at most KEPT."""
    ordered: list[float] = []
    """The same, the smallest first."""
    scale: float = 0.0
    """Mean absolute error of late."""
    below: float = SIDE
    above: float = SIDE
    covered: int = 0
    scored: int = 0

    def around(self, point: float) -> tuple[float, float] | None:
        """None until enough errors are known."""
        if len(self.errors) < LEAST or self.scale <= 0:
            return None
        low = point + self.scale * _quantile(self.ordered, self.below)
        high = point + self.scale * _quantile(self.ordered, 1 - self.above)
        return max(0.0, min(low, point)), max(high, point)

    def take(self, point: float, band: tuple[float, float] | None, value: float) -> None:
        """What came of a forecast and its band, in the order of their times."""
        error = value - point
        if band is not None:
            low, high = value < band[0], value > band[1]
            self.below = _stepped(self.below, low)
            self.above = _stepped(self.above, high)
            self.covered += not (low or high)
            self.scored += 1
        if self.scale > 0:
            self.errors.append(error / self.scale)
            bisect.insort(self.ordered, self.errors[-1])
            if len(self.errors) > KEPT:
                del self.ordered[bisect.bisect_left(self.ordered, self.errors.pop(0))]
        share = 1 / SCALE_MIN
        self.scale = abs(error) if self.scale == 0 else self.scale + share * (abs(error) - self.scale)


def _quantile(ordered: Sequence[float], level: float) -> float:
    """Beyond the ends it grows with how far the level is beyond them."""
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
