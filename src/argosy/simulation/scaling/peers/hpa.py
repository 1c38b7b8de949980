"""Kubernetes' HorizontalPodAutoscaler v2, re-implemented from its documentation; not its code.

| parameter                                   | value                                                     |
|---------------------------------------------|-----------------------------------------------------------|
| sync period                                 | 15 s                                                      |
| desired                                     | ⌈replicas × metric ÷ target⌉                              |
| tolerance                                   | 0.1                                                       |
| replicas that are not ready                 | left out; when the result is up, counted with 0, and      |
|                                             | nothing changes if the direction changes with them        |
| scale up                                    | at most the greater of +100 % and +4 in 15 s, no window   |
| scale down                                  | the highest wish of 300 s, at most -100 % in 15 s         |
| metric                                      | mean over the 15 s between two scrapes                    |

The metric is the busy share of the slots (`cpu`) or the requests in flight for each ready replica. Source:
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/.
"""

from __future__ import annotations

import math
from collections import deque

from argosy.control.scaling.policies.policy import whole
from argosy.simulation.scaling.readings import Readings

SYNC_S = 15
TOLERANCE = 0.1
DOWN_WINDOW_S = 300
UP_SHARE, UP_REPLICAS = 1.0, 4


class Hpa:
    """HPA on CPU or on requests in flight.

    With `cpu`, the target is a share of the slots, else requests in flight per replica.
    """

    interval_s = SYNC_S

    def __init__(self, target: float, *, cpu: bool) -> None:
        self._target, self._cpu = target, cpu
        self._behaviour = Behaviour()

    def wanted(self, seen: Readings) -> int:
        if not seen.ready:
            return seen.replicas
        if self._cpu:
            ratio = seen.busy_share(SYNC_S) / self._target
        else:
            ratio = seen.mean_in_flight(SYNC_S) / seen.ready / self._target
        return self._behaviour.applied(proposal(seen, ratio), seen)


def proposal(seen: Readings, ratio: float) -> int:
    """Return the desired number of replicas before stabilisation.

    `ratio` is the mean over the ready replicas ÷ target.
    """
    if abs(ratio - 1) <= TOLERANCE:
        return seen.replicas
    if seen.ready == seen.replicas or ratio < 1:
        return whole(ratio * seen.ready)
    again = ratio * seen.ready / seen.replicas
    if abs(again - 1) <= TOLERANCE or again < 1:
        return seen.replicas
    return whole(again * seen.replicas)


class Behaviour:
    """Documented default `behavior`: stabilisation and rate limits between proposal and change."""

    def __init__(self) -> None:
        self._proposals: deque[tuple[int, int]] = deque()
        self._changed: deque[tuple[int, int]] = deque()

    def applied(self, proposed: int, seen: Readings) -> int:
        proposals, changed = self._proposals, self._changed
        proposed = max(seen.min_replicas, min(seen.max_replicas, proposed))
        while proposals and proposals[0][0] <= seen.now - DOWN_WINDOW_S:
            proposals.popleft()
        proposals.append((seen.now, proposed))
        while changed and changed[0][0] <= seen.now - SYNC_S:
            changed.popleft()
        wanted = proposed
        if proposed < seen.replicas:
            wanted = min(seen.replicas, max(count for _, count in proposals))
        elif proposed > seen.replicas:
            before = seen.replicas - sum(by for _, by in changed)
            most = max(math.ceil(before * (1 + UP_SHARE)), before + UP_REPLICAS)
            wanted = min(proposed, max(seen.replicas, most))
            if wanted > seen.replicas:
                changed.append((seen.now, wanted - seen.replicas))
        return wanted
