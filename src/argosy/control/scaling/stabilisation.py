"""Time windows in the state of policies: how long it has been calm, the highest recent wish, a smoothed value. Pure.

Times are on the monotonic clock. Time without observations does not count: windows pause over it, so that neither a
broken probe nor the absence of a controller is taken for calm.
"""

from __future__ import annotations

import math

import msgspec


def shifted(at_s: float | None, by_s: float) -> float | None:
    return None if at_s is None else at_s + by_s


class Calm(msgspec.Struct, frozen=True):
    """Time since which a condition has held without a break."""

    since_s: float | None = None
    seen_s: float = 0.0

    def next(self, holds: bool, now_s: float, gap_s: float) -> Calm:
        """Add an observation. `gap_s` is the longest time between two observations that counts as observed."""
        if not holds:
            return Calm(None, now_s)
        if self.since_s is None:
            return Calm(now_s, now_s)
        return Calm(self.since_s + _unseen_s(self.seen_s, now_s, gap_s), now_s)

    def duration_s(self, now_s: float) -> float:
        return 0.0 if self.since_s is None else max(0.0, now_s - self.since_s)

    def moved(self, by_s: float) -> Calm:
        return Calm(shifted(self.since_s, by_s), self.seen_s + by_s)


class Peak(msgspec.Struct, frozen=True):
    """Highest value in a sliding window, and how much of the window has been observed."""

    points: tuple[tuple[float, float], ...] = ()
    """Pairs of time and value, oldest first, with strictly falling values: a point below a later one can be dropped."""
    since_s: float | None = None
    seen_s: float = 0.0

    def next(self, value: float, now_s: float, length_s: float, gap_s: float) -> Peak:
        if self.since_s is None:
            return Peak(((now_s, value),), now_s, now_s)
        pause_s = _unseen_s(self.seen_s, now_s, gap_s)
        kept = [(at_s + pause_s, v) for at_s, v in self.points if v > value and now_s - at_s - pause_s < length_s]
        return Peak((*kept, (now_s, value)), self.since_s + pause_s, now_s)

    @property
    def highest(self) -> float:
        return self.points[0][1] if self.points else 0.0

    def covered_s(self, now_s: float) -> float:
        return 0.0 if self.since_s is None else max(0.0, now_s - self.since_s)

    def moved(self, by_s: float) -> Peak:
        since_s = shifted(self.since_s, by_s)
        return Peak(tuple((at_s + by_s, v) for at_s, v in self.points), since_s, self.seen_s + by_s)


class Smoothed(msgspec.Struct, frozen=True):
    """Exponential average by elapsed time, not by samples."""

    value: float | None = None
    at_s: float = 0.0

    def next(self, sample: float, now_s: float, constant_s: float) -> Smoothed:
        if self.value is None:
            return Smoothed(sample, now_s)
        elapsed_s = max(0.0, now_s - self.at_s)
        share = 1.0 if constant_s <= 0 else -math.expm1(-elapsed_s / constant_s)
        return Smoothed(self.value + share * (sample - self.value), now_s)

    def moved(self, by_s: float) -> Smoothed:
        return Smoothed(self.value, self.at_s + by_s)


def _unseen_s(last_s: float, now_s: float, gap_s: float) -> float:
    return max(0.0, now_s - last_s - gap_s)
