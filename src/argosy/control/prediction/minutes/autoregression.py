"""Ridge regression of the load some minutes ahead on means of its past and on its season. Pure.

There is one regression per horizon. It is fitted on days of minutes in another process (fitting.py) and evaluated here
in microseconds.
"""

from __future__ import annotations

import msgspec
import numpy as np

from argosy.control.history.arrays import Floats
from argosy.control.prediction.minutes.seasonality import Season

SPANS_MIN = (1, 2, 3, 5, 10, 30, 120)
"""Lengths in minutes of the means of the past that the regression uses."""
PAST_MIN = max(SPANS_MIN)
RIDGE = 3.0
LEAST_ROWS = 360
MOST_ROWS = 7 * 1440


class Regression(msgspec.Struct, frozen=True):
    horizon_min: int
    weights: list[float]
    """Weights of the spans, then of the season now and at the horizon when there is a season."""
    intercept: float

    def at(self, means: Floats, season: Season | None, bin_number: int) -> float:
        """Return the load at the horizon; NaN when too little is known.

        Args: `means` are the `latest_means` at bin `bin_number`.
        """
        features = means
        if season is not None:
            seasonal = (season.at(bin_number), season.at(bin_number + self.horizon_min))
            features = np.concatenate([features, seasonal])
        if len(features) != len(self.weights):
            return float("nan")
        return float(features @ np.array(self.weights)) + self.intercept


def fit_regression(values: Floats, first_bin: int, season: Season | None, horizon_min: int) -> Regression | None:
    """Fit the regression of one horizon; None when too little is known.

    It learns only from pairs that lie within `values`, so no label is from later.
    """
    first_bin += max(0, len(values) - MOST_ROWS)
    values, ahead = values[-MOST_ROWS:], horizon_min
    if len(values) <= PAST_MIN + ahead:
        return None
    features = _spans(values)[: -ahead or None]
    targets = values[PAST_MIN - 1 + ahead :]
    if season is not None:
        profile = np.array(season.profile)
        bins = first_bin + PAST_MIN - 1 + np.arange(len(features))
        now, then = profile[bins % season.period_min], profile[(bins + ahead) % season.period_min]
        features = np.column_stack([features, now, then])
    sound = np.isfinite(features).all(1) & np.isfinite(targets)
    if sound.sum() < LEAST_ROWS:
        return None
    x, y = features[sound], targets[sound]
    means, deviations = x.mean(0), x.std(0)
    deviations[deviations < 1e-9] = 1.0
    scaled = (x - means) / deviations
    gram = scaled.T @ scaled + RIDGE * np.sqrt(len(x)) * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (y - y.mean())) / deviations
    return Regression(horizon_min, weights.tolist(), float(y.mean() - means @ weights))


def latest_means(past: Floats) -> Floats:
    """Return the features of the past that all regressions use. The past ends now and has at least PAST_MIN minutes."""
    latest: Floats = _spans(past[-PAST_MIN:])[-1]
    return latest


def _spans(values: Floats) -> Floats:
    """Return means of shape (len − PAST_MIN + 1, spans). Row i holds the means known at minute PAST_MIN − 1 + i."""
    known = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    ends, spans = np.arange(PAST_MIN, len(values) + 1)[:, None], np.array(SPANS_MIN)
    seen = count[ends] - count[ends - spans]
    means: Floats = np.where(seen * 2 > spans, (total[ends] - total[ends - spans]) / np.maximum(seen, 1), np.nan)
    return means
