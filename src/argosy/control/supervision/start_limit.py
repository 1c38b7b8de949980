"""How many replicas of a service may start at a time. Pure.

A start computes: one for every two cores leaves the others to those that serve, and the first is ready sooner than if
all began together. One that takes long mostly waits, for weights or for another service, and gives up its place.
"""

from __future__ import annotations

from collections.abc import Iterable

CORES_PER_START = 2
PLACE_S = 3.0
"""Most starts take half of that."""


def free_places(began_s: Iterable[float], now_s: float, cores: float) -> int:
    """How many more may begin now; `began_s` are the times at which those that are starting began."""
    return max(1, int(cores / CORES_PER_START)) - sum(now_s - at_s < PLACE_S for at_s in began_s)
