"""Detection of anomalies: points outside median ± 2 MAD of a day, with the season removed if there is one. Pure."""

from __future__ import annotations

import msgspec
import numpy as np

from argosy.control.history.arrays import Floats
from argosy.control.prediction.minutes.seasonality import Season

DEVIATIONS = 2.0
LEAST_POINTS = 72
IN_A_ROW = 3
"""Number of consecutive points on the same side that make an anomaly: chance puts many single points outside."""


class Band(msgspec.Struct, frozen=True):
    value: float
    low: float
    high: float
    anomalous: bool


def newest(points: Floats, first_minute: int, step_min: int, season: Season | None) -> Band | None:
    """Compare the newest known points with the day of `points`; None when too little is known."""
    minutes = first_minute + step_min * np.arange(len(points))
    shape = np.ones(len(points))
    if season is not None:
        shape = np.array(season.profile)[minutes % season.period_min]
    known = np.flatnonzero(np.isfinite(points))
    if len(known) < LEAST_POINTS:
        return None
    level = points / shape
    median = float(np.median(level[known]))
    reach = DEVIATIONS * float(np.median(np.abs(level[known] - median)))
    late, last = level[known[-IN_A_ROW:]], int(known[-1])
    outside = reach > 0 and bool((late > median + reach).all() or (late < median - reach).all())
    scale = float(shape[last])
    return Band(float(points[last]), max(0.0, median - reach) * scale, (median + reach) * scale, outside)
