"""Bootstrap intervals of 95 %, resampled over seeds.

All subjects are resampled with the same seeds, because they received the same requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

RESAMPLES = 10_000
SEED = 20_240_229
Interval = tuple[float, float]


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the interval of the mean over seeds."""
    means = np.array(values)[_chosen(len(values))].mean(axis=1)
    return _bounds(means)


def ratio_interval(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """Return the interval of the ratio of the means over the same seeds."""
    chosen = _chosen(len(numerators))
    return _bounds(np.array(numerators)[chosen].mean(axis=1) / np.array(denominators)[chosen].mean(axis=1))


@lru_cache(maxsize=8)
def _chosen(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.random.default_rng(SEED).integers(count, size=(RESAMPLES, count))


def _bounds(resampled: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Interval:
    if np.isnan(resampled).any():
        return math.nan, math.nan
    low, high = np.quantile(resampled, (0.025, 0.975))
    return float(low), float(high)
