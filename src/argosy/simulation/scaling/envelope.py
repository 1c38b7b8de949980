"""Curves of cost against violations, and their comparison at equal cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.scaling.run import RunResult

FLOOR = 1e-4
COUNTED = 2e-4
POINTS = 60


class Envelope:
    """Lower envelope of one policy's sweep.

    It keeps the points that no other point beats in both cost and violations, and interpolates log-linearly between
    them.
    """

    def __init__(self, outcomes: Sequence[RunResult]) -> None:
        kept: list[RunResult] = []
        for outcome in sorted(outcomes, key=lambda o: (o.replica_hours, o.violations)):
            if not kept or outcome.violations < kept[-1].violations:
                kept.append(outcome)
        self.outcomes = kept
        self._hours = np.array([o.replica_hours for o in kept])
        self._logs = np.log(np.maximum([o.violations for o in kept], FLOOR))
        self._events = np.array([float(o.events) for o in kept])

    @property
    def cheapest(self) -> float:
        return float(self._hours[0])

    @property
    def dearest(self) -> float:
        return float(self._hours[-1])

    def violations(self, hours: FloatArray) -> FloatArray:
        """Return the violations at these costs, at least FLOOR. Beyond the dearest point they stay constant."""
        found: FloatArray = np.exp(np.interp(hours, self._hours, self._logs))
        return found

    def events(self, hours: FloatArray) -> FloatArray:
        found: FloatArray = np.interp(hours, self._hours, self._events)
        return found

    def hours_for(self, violations: float) -> float:
        """Return the least cost at which no more than this share is late; NaN when no point is that good."""
        wanted, logs = math.log(max(violations, FLOOR)), self._logs
        if logs[-1] > wanted:
            return math.nan
        return float(np.interp(-wanted, -logs, self._hours))


def overlap(one: Envelope, other: Envelope) -> FloatArray | None:
    """Return POINTS equal costs that both curves cover; None when they do not overlap."""
    low, high = max(one.cheapest, other.cheapest), min(one.dearest, other.dearest)
    return np.linspace(low, high, POINTS) if high > low else None


def fewer(ours: Envelope, theirs: Envelope) -> float:
    """Return how many times fewer violations ours has at equal cost: the geometric mean over the overlap.

    Returns NaN when the curves do not overlap, or neither curve has COUNTED violations anywhere.
    """
    hours = overlap(ours, theirs)
    if hours is None:
        return math.nan
    mine, other = ours.violations(hours), theirs.violations(hours)
    counted = np.maximum(mine, other) >= COUNTED
    if not counted.any():
        return math.nan
    return float(np.exp(np.mean(np.log(other[counted] / mine[counted]))))


def events_ratio(ours: Envelope, theirs: Envelope) -> float:
    """Return our scaling events divided by theirs at equal cost; NaN when the curves do not overlap."""
    hours = overlap(ours, theirs)
    if hours is None:
        return math.nan
    return float(ours.events(hours).mean() / max(1e-9, theirs.events(hours).mean()))


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of the finite positive values; NaN when there is none."""
    known = [value for value in values if math.isfinite(value) and value > 0]
    return math.exp(sum(map(math.log, known)) / len(known)) if known else math.nan
