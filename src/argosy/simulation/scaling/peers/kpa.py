"""Knative's pod autoscaler (KPA), re-implemented from its documentation; not its code.

| parameter                       | value                                                                      |
|---------------------------------|----------------------------------------------------------------------------|
| tick                            | 2 s                                                                        |
| stable window                   | 60 s                                                                       |
| panic window                    | 6 s (10 %)                                                                 |
| panic threshold                 | panic wish ÷ ready ≥ 2; panic ends after 60 s below the threshold;         |
|                                 | during panic no step is down                                               |
| target utilisation              | 70 % of the slots; swept here                                              |
| most up / down in one step      | × 1000 / ÷ 2 of the ready replicas                                         |
| scale to zero                   | no: the fleet's minimum is 1                                               |

Source: https://knative.dev/docs/serving/autoscaling/.
"""

from __future__ import annotations

import math

from argosy.control.scaling.policies.policy import whole
from argosy.simulation.scaling.readings import Readings

TICK_S = 2
STABLE_S, PANIC_S = 60, 6
PANIC_THRESHOLD = 2.0
MOST_UP, MOST_DOWN = 1000.0, 2.0


class Kpa:
    """KPA. The target is requests in flight per replica."""

    interval_s = TICK_S

    def __init__(self, target: float) -> None:
        self._target = target
        self._panicked_s: int | None = None
        self._panic_most = 0

    def wanted(self, seen: Readings) -> int:
        ready = max(1, seen.ready)
        most, least = math.ceil(MOST_UP * ready), math.floor(ready / MOST_DOWN)
        stable = min(max(whole(seen.mean_in_flight(STABLE_S) / self._target), least), most)
        burst = whole(seen.mean_in_flight(PANIC_S) / self._target)
        over = burst / ready >= PANIC_THRESHOLD
        burst = min(max(burst, least), most)
        if over:
            self._panicked_s = seen.now
        elif self._panicked_s is not None and seen.now - self._panicked_s > STABLE_S:
            self._panicked_s, self._panic_most = None, 0
        if self._panicked_s is None:
            return stable
        highest = max(stable, burst)
        if highest > self._panic_most:
            self._panic_most, self._panicked_s = highest, seen.now
        return self._panic_most
