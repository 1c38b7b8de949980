"""Oracle that knows every future request: a bound, not a policy.

Each replica's worth of load is a layer: layer l works while more than l × slots requests are present. A layer is
launched one cold start before it is needed, and kept over a gap when a new launch would cost more. The target scales
the load that is planned for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.scaling.autoscaler import World
from argosy.simulation.scaling.readings import Readings


class Oracle:
    interval_s = 1

    def __init__(self, world: World, scale: float) -> None:
        self._plan = plan(world.load.offered * scale / world.service.slots, world)

    @property
    def first(self) -> int:
        return int(self._plan[0])

    def wanted(self, seen: Readings) -> int:
        return int(self._plan[min(seen.now, len(self._plan) - 1)])


def plan(replicas: FloatArray, world: World) -> npt.NDArray[np.int64]:
    """Return the replicas that should be running or starting at each second, given the number needed at each second."""
    needed = np.clip(np.ceil(replicas - 1e-9), world.min_replicas, world.max_replicas).astype(np.int64)
    cold_s, seconds = world.cold_start_s, len(needed)
    total = np.full(seconds, world.min_replicas, np.int64)
    for layer in range(world.min_replicas, int(needed.max())):
        busy = np.flatnonzero(needed > layer)
        breaks = np.flatnonzero(np.diff(busy) > cold_s + 1)
        firsts = np.concatenate((busy[:1], busy[breaks + 1]))
        lasts = np.concatenate((busy[breaks], busy[-1:]))
        change = np.zeros(seconds + 1, np.int64)
        np.add.at(change, np.maximum(firsts - cold_s, 0), 1)
        np.add.at(change, lasts + 1, -1)
        total += np.minimum(np.cumsum(change[:-1]), 1)
    return total
