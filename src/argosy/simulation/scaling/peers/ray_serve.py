"""Ray Serve's autoscaling of a deployment, re-implemented from its documentation; not its code.

| parameter                | value                                                                             |
|--------------------------|-----------------------------------------------------------------------------------|
| target_ongoing_requests  | 2 by default; swept                                                               |
| desired                  | ⌈mean of ongoing requests (queued ones included) over the look-back ÷ target⌉     |
| look_back_period_s       | 30                                                                                |
| upscale_delay_s          | 30: the wish must exceed the running number for so long, then it is applied fully |
| downscale_delay_s        | 600, likewise below                                                               |
| upscaling_factor, downscaling_factor | 1                                                                     |
| control loop             | every 1 s here (0.1 s there)                                                      |

Source: https://docs.ray.io/en/latest/serve/advanced-guides/advanced-autoscaling.html.
"""

from __future__ import annotations

from argosy.control.scaling.policies.policy import whole
from argosy.simulation.scaling.readings import Readings

LOOP_S = 1
LOOK_BACK_S = 30
UP_DELAY_S, DOWN_DELAY_S = 30, 600


class RayServe:
    """Ray Serve. The target is ongoing requests per replica."""

    interval_s = LOOP_S

    def __init__(self, target: float) -> None:
        self._target = target
        self._counter = 0
        """Consecutive seconds above (or, when negative, below) the running number."""

    def wanted(self, seen: Readings) -> int:
        proposed = whole(seen.mean_in_flight(LOOK_BACK_S) / self._target)
        proposed = max(seen.min_replicas, min(seen.max_replicas, proposed))
        if proposed > seen.replicas:
            self._counter = max(self._counter, 0) + LOOP_S
            if self._counter > UP_DELAY_S:
                self._counter = 0
                return proposed
        elif proposed < seen.replicas:
            self._counter = min(self._counter, 0) - LOOP_S
            if self._counter < -DOWN_DELAY_S:
                self._counter = 0
                return proposed
        else:
            self._counter = 0
        return seen.replicas
