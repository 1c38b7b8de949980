"""Chance that the load is above a level, from how often it recently was, on many time scales at once. Pure.

For each of SCALES time constants (the first is half a cold start, each further one GROWTH times the one before), it
keeps the share of time that the load was above each of LEVELS, as an exponential average by observed time. The chance
is their mean, weighted by constant^-FADING: both the last moment and patterns that recur over hours count, and the
longer a replica takes to start, the less a single moment counts.

A level above the load counts in part, by (load ÷ level)^steepness, because a load that was never seen is possible. The
steepness is learnt from how much the load grows within a cold start: for a Pareto tail, steepness = √(2 ÷ mean of the
squared logarithms of growth), within LEAST_STEEP and MOST_STEEP.

Levels are requests in the service and not replicas, because slots, bounds and the learnt capacity may change.
"""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SCALES = 8
GROWTH = 3.0
FADING = 0.2
LEAST_STEEP, USUALLY_STEEP, MOST_STEEP = 6.0, 8.0, 9.0
"""Past growth says little about a coming burst: however steady the load was, the tail is kept this wide."""
RESTLESS = 13.0
"""Unlimited steepness up to which a load does not count as steady at all.

Over days of a web server's load the steepness hardly exceeds it. For Poisson arrivals at a constant rate with 28
requests in the service, the steepness is about 20.
"""
LEAST_RESTLESS = 0.25
GROWTH_KEPT = 100.0
"""Length of the mean of growth, in cold starts."""
SHORTEST_S = 5.0
"""Shortest time constant."""
PER_COLD_START = 0.5
"""Shortest time constant, in cold starts."""
LEVELS: Floats = np.array([0.0, *np.geomspace(0.05, 500_000, 160).tolist()], np.float64)
"""Levels in requests, 11 % apart. The load is always above the first, so that column counts the observed time."""
_LOGS: Floats = np.log(LEVELS[1:])
_WEIGHTS = np.power(GROWTH, -FADING * np.arange(SCALES, dtype=np.float64))
_NORMED: Floats = _WEIGHTS / _WEIGHTS.sum()
_FIRST_WEIGHT = 1e-9
"""Weight of the first load: it is all that is known at the start, and soon it counts for nothing."""
_LEAST = 1e-12


class Remembered(msgspec.Struct, frozen=True):
    shares: bytes = b""
    """Array of float64 with shape (SCALES, len(LEVELS)); empty when nothing was observed."""
    at_s: float = 0.0
    usual: float = 0.0
    """Load averaged over about a cold start."""
    growth: float = 2 / USUALLY_STEEP**2
    """Mean of the squared logarithms of the load relative to the usual load; 0 where the load was smaller."""

    def next(self, load: float, now_s: float, cold_start_s: float, gap_s: float) -> Remembered:
        """Add a load. `gap_s` is the longest time between two loads that counts as observed."""
        seen = reached(load, LEVELS, self.steepness)
        if not self.shares:
            return Remembered(np.tile(seen * _FIRST_WEIGHT, (SCALES, 1)).tobytes(), now_s, load, self.growth)
        shares = self._shares()
        elapsed_s = min(max(0.0, now_s - self.at_s), gap_s)
        taken = _taken(elapsed_s, cold_start_s)
        start_s = max(SHORTEST_S, cold_start_s)
        grown = max(0.0, math.log((load + 1) / (self.usual + 1)))
        return Remembered(
            (shares + taken * (seen - shares)).tobytes(),
            now_s,
            self.usual - math.expm1(-elapsed_s / start_s) * (load - self.usual),
            self.growth - math.expm1(-elapsed_s / (GROWTH_KEPT * start_s)) * (grown**2 - self.growth),
        )

    @property
    def steepness(self) -> float:
        return max(LEAST_STEEP, min(MOST_STEEP, math.sqrt(2 / max(self.growth, 1e-9))))

    @property
    def restlessness(self) -> float:
        """Growth of the load within a cold start: 1 for a load caused by people, less for steadier loads."""
        return max(LEAST_RESTLESS, min(1.0, self.growth * RESTLESS**2 / 2))

    def above(self, limits: Floats) -> Floats:
        """Return the chance that the load exceeds each of the rising `limits` in requests; 0 while nothing is known."""
        if not self.shares:
            return (limits <= 0).astype(np.float64)
        shares, (places, toward, certain) = self._shares(), _between(limits.tobytes())
        chances = (_NORMED / shares[:, 0]) @ shares
        below, above = np.log(np.maximum(chances[places], _LEAST))
        found: Floats = np.exp(below + toward * (above - below))
        found[certain] = 1.0
        return found

    def moved(self, by_s: float) -> Remembered:
        return msgspec.structs.replace(self, at_s=self.at_s + by_s)

    def _shares(self) -> Floats:
        return np.frombuffer(self.shares, np.float64).reshape(SCALES, len(LEVELS))


@lru_cache(maxsize=64)
def _between(limits: bytes) -> tuple[npt.NDArray[np.intp], Floats, npt.NDArray[np.bool_]]:
    """Return the levels around each limit, the position between them, and which limits any load exceeds.

    The levels have the shape (2, limits); the position is by logarithms, 0 to 1.
    """
    given = np.frombuffer(limits, np.float64)
    logs = np.log(np.clip(given, LEVELS[1], LEVELS[-1]))
    lower = np.minimum(np.searchsorted(_LOGS, logs, side="right") - 1, len(_LOGS) - 2)
    toward = (logs - _LOGS[lower]) / (_LOGS[lower + 1] - _LOGS[lower])
    return np.stack((lower + 1, lower + 2)), toward, given <= 0


@lru_cache(maxsize=256)
def _taken(elapsed_s: float, cold_start_s: float) -> Floats:
    """Return the share that the latest load has in each average, shape (SCALES, 1)."""
    constants_s = max(SHORTEST_S, PER_COLD_START * cold_start_s) * GROWTH ** np.arange(SCALES)
    taken: Floats = -np.expm1(-elapsed_s / constants_s)[:, None]
    return taken


def reached(load: float, limits: Floats, steepness: float) -> Floats:
    """Return 1 for each limit below the load, and less above it, by how far a similar load may reach."""
    if load <= 0:
        return (limits <= 0).astype(np.float64)
    near: Floats = (load / np.maximum(limits, load)) ** steepness
    return near
