"""Simple forecasters of a load in minutes. Each sees only the past and returns one number per horizon. Pure.

| name     | forecast                                                                                     |
|----------|----------------------------------------------------------------------------------------------|
| last     | the last value; the naive forecast that all are measured against                             |
| ewma     | the exponential average of 5 min                                                             |
| slow     | the exponential average of 20 min                                                            |
| holt     | level and damped trend (Gardner and McKenzie 1985)                                           |
| seasonal | the season's profile × the level of the last quarter of an hour, once a season is found      |
| ridge    | the regression on the past (autoregression.py), once one is fitted                           |
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from argosy.control.history.arrays import Floats
from argosy.control.prediction.minutes.autoregression import Regression, latest_means
from argosy.control.prediction.minutes.seasonality import Season

NAMES = ("last", "ewma", "slow", "holt", "seasonal", "ridge")
NAIVE = NAMES.index("last")
EWMA_MIN = 5.0
SLOW_MIN = 20.0
HOLT_LEVEL, HOLT_TREND, HOLT_DAMPING = 0.3, 0.05, 0.9
LEVEL_MIN = 15
SEASONAL = "seasonal"


class Fit(msgspec.Struct, frozen=True):
    """Season and regressions learnt from days of a series, in another process."""

    season: Season | None = None
    regressions: list[Regression] = []


class Smooth(msgspec.Struct):
    """State of the experts that need no history."""

    ewma: float = math.nan
    slow: float = math.nan
    level: float = math.nan
    trend: float = 0.0

    def take(self, value: float) -> None:
        if not math.isfinite(self.level):
            self.ewma = self.slow = self.level = value
            return
        self.ewma += (1 - math.exp(-1 / EWMA_MIN)) * (value - self.ewma)
        self.slow += (1 - math.exp(-1 / SLOW_MIN)) * (value - self.slow)
        before = self.level
        self.level = HOLT_LEVEL * value + (1 - HOLT_LEVEL) * (before + HOLT_DAMPING * self.trend)
        self.trend = HOLT_TREND * (self.level - before) + (1 - HOLT_TREND) * HOLT_DAMPING * self.trend


def say(past: Floats, bin_number: int, smooth: Smooth, fit: Fit, horizons_min: Sequence[int]) -> Floats:
    """Return the forecasts, shape (horizons, NAMES), never negative; NaN where an expert has no forecast.

    Args:
        past: minutes up to and including `bin_number`, at least PAST_MIN.
    """
    said = np.full((len(horizons_min), len(NAMES)), np.nan)
    said[:, 0], said[:, 1], said[:, 2] = past[-1], smooth.ewma, smooth.slow
    level = _level(past, bin_number, fit.season)
    regressions = {regression.horizon_min: regression for regression in fit.regressions}
    means = latest_means(past)
    for i, ahead in enumerate(horizons_min):
        damped = HOLT_DAMPING * (1 - HOLT_DAMPING**ahead) / (1 - HOLT_DAMPING)
        said[i, 3] = smooth.level + damped * smooth.trend
        if fit.season is not None:
            said[i, 4] = level * fit.season.at(bin_number + ahead)
        if ahead in regressions:
            said[i, 5] = regressions[ahead].at(means, fit.season, bin_number)
    never_negative: Floats = np.maximum(said, 0.0)
    return never_negative


def _level(past: Floats, bin_number: int, season: Season | None) -> float:
    """Return the recent load with the season removed."""
    if season is None:
        return math.nan
    recent = past[-LEVEL_MIN:]
    shape = np.array([season.at(bin_number - len(recent) + 1 + i) for i in range(len(recent))])
    known = np.isfinite(recent)
    return float(recent[known].sum() / shape[known].sum()) if known.sum() * 2 > LEVEL_MIN else math.nan
