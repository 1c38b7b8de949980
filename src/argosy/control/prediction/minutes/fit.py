"""Fit to days of a series: its season and a regression for each horizon. Pure; takes milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from argosy.control.prediction.minutes.autoregression import fit_regression
from argosy.control.prediction.minutes.experts import Fit
from argosy.control.prediction.minutes.seasonality import find_season


def fit_load(values: npt.NDArray[np.float64], first_bin: int, horizons_min: Sequence[int]) -> Fit:
    """Fit the season and the regressions.

    Args: `values` are minutes, NaN where a value is not known; the first minute has the number `first_bin`.
    """
    season = find_season(values, first_bin)
    fitted = (fit_regression(values, first_bin, season, ahead) for ahead in horizons_min)
    return Fit(season, [regression for regression in fitted if regression is not None])
