"""Times of millions of requests as counts in classes, each 2 % longer than the one before."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from argosy.simulation.arrivals import FloatArray
from argosy.simulation.scaling.compiled import compiled

LEAST_S = 1e-3
"""What is shorter counts as this."""
LOG_GROWTH = math.log(1.02)
CLASSES = 1024
TIMES_S: FloatArray = LEAST_S * np.exp(LOG_GROWTH * (np.arange(CLASSES) + 0.5))
"""The middle of each class."""


@compiled
def class_of(time_s: float) -> int:
    if time_s <= LEAST_S:
        return 0
    return min(int(math.log(time_s / LEAST_S) / LOG_GROWTH), CLASSES - 1)


def quantiles(times_s: FloatArray, weights: FloatArray, shares: Sequence[float]) -> list[float] | None:
    """The least time that at least each of these shares of the weight is within; None without any weight."""
    order = np.argsort(times_s)
    reached = np.cumsum(weights[order])
    if not len(reached) or reached[-1] <= 0:
        return None
    places = np.searchsorted(reached, np.array(shares) * reached[-1] * (1 - 1e-12))
    found: list[float] = times_s[order][places].tolist()
    return found
