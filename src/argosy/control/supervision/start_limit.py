"""Limit on the number of replicas of a service that start at the same time. Pure.

A start uses CPU. One start for every two cores leaves the other cores to the replicas that serve, and the first replica
is ready sooner than if all started together. A long start mostly waits, for weights or for another service, so it gives
up its place after PLACE_S.
"""

from __future__ import annotations

from collections.abc import Iterable

CORES_PER_START = 2
PLACE_S = 3.0
"""Time for which a start holds its place. Most starts take half of it."""


def free_places(began_s: Iterable[float], now_s: float, cores: float) -> int:
    """Return the number of further starts that may begin now.

    `began_s` are the times at which the current starts began. The result may be negative.
    """
    return max(1, int(cores / CORES_PER_START)) - sum(now_s - at_s < PLACE_S for at_s in began_s)
