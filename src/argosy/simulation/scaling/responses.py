"""Histogram of response times with 1024 classes, each 2 % longer than the one before: millions of times fit in it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.scaling.compiled import compiled

LEAST_S = 1e-3
"""Shorter times count as this."""
LOG_GROWTH = math.log(1.02)
CLASSES = 1024
TIMES_S: FloatArray = LEAST_S * np.exp(LOG_GROWTH * (np.arange(CLASSES) + 0.5))
"""Middle of each class."""


@compiled
def class_of(time_s: float) -> int:
    if time_s <= LEAST_S:
        return 0
    return min(int(math.log(time_s / LEAST_S) / LOG_GROWTH), CLASSES - 1)


def quantiles(times_s: FloatArray, weights: FloatArray, shares: Sequence[float]) -> list[float] | None:
    """Return, for each share, the least time within which at least that share of the weight lies.

    Returns None when there is no weight.
    """
    order = np.argsort(times_s)
    reached = np.cumsum(weights[order])
    if not len(reached) or reached[-1] <= 0:
        return None
    places = np.searchsorted(reached, np.array(shares) * reached[-1] * (1 - 1e-12))
    found: list[float] = times_s[order][places].tolist()
    return found
