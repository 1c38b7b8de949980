"""KEDA with a trigger on requests in flight, re-implemented from its documentation; not its code.

| parameter            | value                                                                              |
|----------------------|------------------------------------------------------------------------------------|
| pollingInterval      | 30 s; the HPA that KEDA creates uses the polled value until the next poll          |
| metric type          | AverageValue: desired = ⌈total ÷ target⌉; no change within the tolerance of 0.1    |
| cooldownPeriod       | 300 s, for scaling to zero only                                                    |
| replicas             | from the fleet's minimum (1 here, so nothing goes to zero) to its maximum          |
| behaviour            | the HPA's (hpa.py), every 15 s                                                     |

Source: https://keda.sh/docs/latest/reference/scaledobject-spec/.
"""

from __future__ import annotations

from argosy.control.scaling.policies.policy import whole
from argosy.simulation.scaling.peers.hpa import SYNC_S, TOLERANCE, Behaviour
from argosy.simulation.scaling.readings import Readings

POLLING_S = 30


class Keda:
    """KEDA. The target is requests in flight per replica."""

    interval_s = SYNC_S

    def __init__(self, target: float) -> None:
        self._target = target
        self._polled_s = -POLLING_S
        self._total = 0.0
        self._behaviour = Behaviour()

    def wanted(self, seen: Readings) -> int:
        if seen.now - self._polled_s >= POLLING_S:
            self._polled_s, self._total = seen.now, seen.in_flight
        ratio = self._total / (self._target * max(1, seen.replicas))
        proposed = seen.replicas if abs(ratio - 1) <= TOLERANCE else whole(self._total / self._target)
        return self._behaviour.applied(proposed, seen)
