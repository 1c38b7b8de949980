"""Reactive rule that a forecast has to beat: in flight ÷ (slots × target), backlog, bursts, and a hold."""

from __future__ import annotations

import math

from argosy.control.scaling.policies.policy import whole
from argosy.control.scaling.stabilisation import Peak, Smoothed
from argosy.simulation.scaling.autoscaler import Foresight
from argosy.simulation.scaling.readings import Readings

LOOK_S = 2
LOAD_S, BASELINE_S = 5.0, 60.0
BACKLOG_S = 0.5
SIGMA = 3.0


class Reactive:
    """Rule that wants the highest count of the hold.

    When `known` is given, the rule also wants at least the count for the coming window. With the true future, this is a
    bound.
    """

    interval_s = LOOK_S

    def __init__(self, target: float, hold_s: float, service_s: float, known: Foresight | None = None) -> None:
        self._target, self._hold_s, self._service_s, self._known = target, hold_s, service_s, known
        self._load, self._usual, self._peak = Smoothed(), Smoothed(), Peak()

    def wanted(self, seen: Readings) -> int:
        now, in_flight, came = float(seen.now), seen.in_flight, seen.arrivals(LOOK_S)
        self._load = self._load.next(in_flight, now, LOAD_S)
        wish = whole((self._load.value or 0.0) / (seen.slots * self._target))
        rate = came / LOOK_S
        served = 1 + BACKLOG_S / self._service_s
        wish = max(wish, whole((in_flight + rate * BACKLOG_S) / (seen.slots * served)))
        usual = (self._usual.value or 0.0) * LOOK_S
        if came - usual > SIGMA * math.sqrt(max(usual, 1.0)):
            wish = max(wish, whole(rate * self._service_s / (seen.slots * self._target)))
        self._usual = self._usual.next(rate, now, BASELINE_S)
        self._peak = self._peak.next(min(wish, seen.max_replicas), now, self._hold_s, LOOK_S)
        coming = self._known.forecast(seen) if self._known is not None else None
        foreseen = 0.0 if coming is None else coming.peak_replicas or 0.0
        return max(round(self._peak.highest), whole(foreseen / self._target))
