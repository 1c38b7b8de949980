"""How probable it is that the load is above a level, from how often it was of late, on many time scales at once. Pure.

For each of SCALES time constants, from half a cold start on and each GROWTH times the one before, it keeps the share of
time that the load was above each of LEVELS, as an exponential average by observed time. Their mean, weighted by
constant^-FADING, is the chance: what was a moment ago and what recurs over hours both count, and the longer a replica
takes to start, the less a moment says.

A level above the load counts in part, by (load ÷ level)^steepness, because a load that was never seen is possible. How
steep is learnt from how much the load grows within a cold start: for a Pareto tail, steepness = √(2 ÷ mean of the
squared logarithms of growth), within LEAST_STEEP and MOST_STEEP.

Levels are requests in the service, not replicas: slots, bounds and what was learnt of capacity may change under it.
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
"""Growth so far says little of a burst to come: however steady the load was, the tail is kept this wide."""
RESTLESS = 13.0
"""The steepness, were it not limited, up to which a load is not steady at all: over days of a web server's load it is
hardly ever above it, of Poisson arrivals at a constant rate that keep 28 requests in the service about 20."""
LEAST_RESTLESS = 0.25
GROWTH_KEPT = 100.0
"""Cold starts that the mean of growth looks back."""
SHORTEST_S = 5.0
"""Of the time constants."""
PER_COLD_START = 0.5
"""The shortest time constant, in cold starts."""
LEVELS: Floats = np.array([0.0, *np.geomspace(0.05, 500_000, 160).tolist()], np.float64)
"""Requests; 11 % apart. The load is always above the first: that column is how much has been observed."""
_LOGS: Floats = np.log(LEVELS[1:])
_WEIGHTS = np.power(GROWTH, -FADING * np.arange(SCALES, dtype=np.float64))
_NORMED: Floats = _WEIGHTS / _WEIGHTS.sum()
_FIRST_WEIGHT = 1e-9
"""Of the first load: all that is known then, and soon nothing."""
_LEAST = 1e-12


class Remembered(msgspec.Struct, frozen=True):
    shares: bytes = b""
    """float64 of shape (SCALES, len(LEVELS)); empty: nothing was observed."""
    at_s: float = 0.0
    usual: float = 0.0
    """The load, averaged over about a cold start."""
    growth: float = 2 / USUALLY_STEEP**2
    """Mean of the squared logarithms of how many times the usual load came; 0 where less did."""

    def next(self, load: float, now_s: float, cold_start_s: float, gap_s: float) -> Remembered:
        """`gap_s` is the longest time between two loads that counts as observed."""
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
        """How much the load grows within a cold start: 1 where it moves as that of people does, less the steadier."""
        return max(LEAST_RESTLESS, min(1.0, self.growth * RESTLESS**2 / 2))

    def above(self, limits: Floats) -> Floats:
        """The chance that the load is above each of `limits`, in requests; they rise. 0 while nothing is known."""
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
    """The levels around each of these limits, shape (2, limits); how far it is from the one to the other, by their
    logarithms; and which limits any load is above."""
    given = np.frombuffer(limits, np.float64)
    logs = np.log(np.clip(given, LEVELS[1], LEVELS[-1]))
    lower = np.minimum(np.searchsorted(_LOGS, logs, side="right") - 1, len(_LOGS) - 2)
    toward = (logs - _LOGS[lower]) / (_LOGS[lower + 1] - _LOGS[lower])
    return np.stack((lower + 1, lower + 2)), toward, given <= 0


@lru_cache(maxsize=256)
def _taken(elapsed_s: float, cold_start_s: float) -> Floats:
    """The share that what was just seen has in each average, shape (SCALES, 1)."""
    constants_s = max(SHORTEST_S, PER_COLD_START * cold_start_s) * GROWTH ** np.arange(SCALES)
    taken: Floats = -np.expm1(-elapsed_s / constants_s)[:, None]
    return taken


def reached(load: float, limits: Floats, steepness: float) -> Floats:
    """1 for each limit below the load, less above it: how far a like load may reach."""
    if load <= 0:
        return (limits <= 0).astype(np.float64)
    near: Floats = (load / np.maximum(limits, load)) ** steepness
    return near
