"""Speed of a replica over time. Brownouts, repairs and antagonists are changes of speed."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Speed:
    """Piecewise constant speed. `factors[i]` holds from `since_s[i]` on; 1 is normal, 1/16 is sixteen times slower."""

    since_s: tuple[float, ...] = (0.0,)
    factors: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not self.since_s or self.since_s[0] != 0.0 or len(self.since_s) != len(self.factors):
            raise ValueError("A speed needs one factor for each time, and the first time must be 0.")
        if sorted(set(self.since_s)) != list(self.since_s) or min(self.factors) <= 0:
            raise ValueError("The times of a speed must ascend and its factors be positive.")

    @classmethod
    def constant(cls, factor: float) -> Speed:
        return cls((0.0,), (factor,))

    @property
    def changes(self) -> list[tuple[float, float]]:
        """Pairs of time and new factor of every change after the start."""
        return list(zip(self.since_s[1:], self.factors[1:], strict=True))

    def at(self, when_s: float) -> float:
        return self.factors[bisect_right(self.since_s, when_s) - 1]

    def times(self, other: Speed) -> Speed:
        """Return the speed with both slowdowns at once."""
        since_s = tuple(sorted({*self.since_s, *other.since_s}))
        return Speed(since_s, tuple(self.at(s) * other.at(s) for s in since_s))

    def finish_s(self, start_s: float, work_s: float) -> float:
        """Return when work that takes `work_s` at normal speed ends.

        The work starts at `start_s` and is never interrupted.
        """
        factors = self.factors
        if len(factors) == 1:
            return start_s + work_s / factors[0]
        since_s = self.since_s
        piece = bisect_right(since_s, start_s) - 1
        while piece + 1 < len(factors):
            possible_s = (since_s[piece + 1] - start_s) * factors[piece]
            if possible_s >= work_s:
                break
            work_s -= possible_s
            piece += 1
            start_s = since_s[piece]
        return start_s + work_s / factors[piece]


@dataclass(frozen=True, slots=True)
class Antagonist:
    """Neighbour that takes part of the machine at intervals. Gaps and visits have exponential lengths."""

    every_s: float
    lasts_s: float
    factor: float
    """Share of the speed that remains during a visit."""

    def over(self, speed: Speed, until_s: float, rng: np.random.Generator) -> Speed:
        """Return `speed` with visits until `until_s`."""
        edges, at_s = [(0.0, 1.0)], 0.0
        while at_s < until_s:
            begins_s = at_s + float(rng.exponential(self.every_s))
            at_s = begins_s + float(rng.exponential(self.lasts_s))
            edges += [(begins_s, self.factor), (at_s, 1.0)]
        since_s, factors = zip(*edges, strict=True)
        return speed.times(Speed(since_s, factors))
