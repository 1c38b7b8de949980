"""Distribution of the highest load of the coming window: a ridge regression and the residuals that it left.

The regression works on the square root of the load, in which the noise of counts is alike at all levels. It regresses
the window's highest 15 s mean on means of 15 s to 2 h, on maxima of 5 min to 1 h, and on the load at that time on the
days before. Around the result lie the quantiles of the residuals of the last four days, each divided by the recent size
of residuals (means over an hour and 12 hours). Everything is fitted from windows that are over. A single high quantile
tells scaling less than the distribution: whether a load that comes once in a hundred windows is worth a replica depends
on how far above the rest it lies.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from argosy.control.history.arrays import Floats
from argosy.control.prediction.peak.analogue import BIN_S, DAY, LEAST_BINS, LOAD_BINS
from argosy.control.prediction.peak.skill import Judged, naive_spans

MEANS_S = (15, 60, 180, 600, 1800, 7200)
HIGHS_S = (300, 900, 3600)
PROFILE = 600 // BIN_S
DAYS = 7
EVERY = 60 // BIN_S
"""Rows are fitted on one window per minute."""
RIDGE = 1.0
SPREAD_ROWS = 4 * DAY // EVERY
SHORT, LONG = 60, 720
"""Lengths in rows of the two means of the recent size of residuals."""
TAIL = (0.985, 0.992, 0.996, 0.999)
BODY = 47
LEVELS = np.array([*(np.arange(BODY) + 0.5) / (BODY + 1), *TAIL])
CHANCES = np.array([1 / (BODY + 1)] * BODY + [1 / 96, 1 / 192, 1 / 384, 1 / 384])
LEAST_ROWS = 720
SCORED = 0.98

Spread = tuple[tuple[float, float], ...]
"""Pairs of probability and load in erlangs."""
Bins = npt.NDArray[np.int64]


class WindowFit(Judged, frozen=True, kw_only=True):
    """Fitted regression, in erlangs. It is judged on the last quarter of the history after a fit on the rest."""

    window: int
    """Length of the window in bins."""
    weights: list[float]
    quantiles: list[float]
    """Quantiles at LEVELS of residuals ÷ scale."""
    scale: float


def design(loads: Floats, at: Bins, window: int) -> Floats:
    """Return one row of features per bin of `at`: values known when that bin is over.

    Returns: shape (len(at), features); NaN where the level is not known.
    """
    known = np.isfinite(loads)
    totals = np.concatenate(([0.0], np.cumsum(np.where(known, loads, 0.0))))
    counts = np.concatenate(([0], np.cumsum(known)))
    level = _mean(totals, counts, at, LOAD_BINS)
    columns = [np.ones(len(at))]
    for seconds in MEANS_S:
        mean = _mean(totals, counts, at, seconds // BIN_S)
        columns.append(np.sqrt(np.where(np.isfinite(mean), mean, level)))
    first = max(0, int(at.min(initial=len(loads))) + 1 - max(HIGHS_S) // BIN_S)
    smooth = np.nan_to_num(_mean(totals, counts, np.arange(first, len(loads)), LOAD_BINS))
    for seconds in HIGHS_S:
        columns.append(np.sqrt(_highest(smooth, at - first, seconds // BIN_S)))
    ahead, present = window // 2 + PROFILE // 2, _mean(totals, counts, at, PROFILE)
    past = np.stack([_mean(totals, counts, at - day * DAY + ahead, PROFILE) for day in range(1, DAYS + 1)])
    seen = np.isfinite(past)
    usual = np.where(seen, past, 0).sum(0) / np.maximum(seen.sum(0), 1)
    for value, there in ((past[0], seen[0]), (usual, seen.any(0))):
        columns.append(np.sqrt(np.where(there, value, np.where(np.isfinite(present), present, level))))
    rows: Floats = np.stack(columns, 1)
    rows[~np.isfinite(level)] = np.nan
    return rows


def newest(loads: npt.NDArray[np.floating], window: int) -> Floats:
    """Return the row of the last bin alone.

    It is computed only from the parts of the week that it needs, which is much faster than `design`.
    """
    level = _mean_of(loads[-LOAD_BINS:], LOAD_BINS)
    if math.isnan(level):
        return np.full(3 + len(MEANS_S) + len(HIGHS_S), np.nan)
    row = [1.0]
    for seconds in MEANS_S:
        row.append(_known(_mean_of(loads[-(seconds // BIN_S) :], seconds // BIN_S), level))
    smooth = np.nan_to_num(_smooth(loads[-(max(HIGHS_S) // BIN_S + LOAD_BINS) :].astype(np.float64)))
    row += [float(smooth[-(seconds // BIN_S) :].max()) for seconds in HIGHS_S]
    days = []
    for day in range(1, DAYS + 1):
        end = max(0, len(loads) - day * DAY + window // 2 + PROFILE // 2)
        days.append(_mean_of(loads[max(0, end - PROFILE) : end], PROFILE))
    present, seen = _mean_of(loads[-PROFILE:], PROFILE), [mean for mean in days if not math.isnan(mean)]
    usual = sum(seen) / len(seen) if seen else math.nan
    row += [_known(days[0], present, level), _known(usual, present, level)]
    return np.sqrt(row)


def _mean_of(loads: npt.NDArray[np.floating], length: int) -> float:
    """Return the mean of the known values among `length` bins; NaN when at most half are known."""
    known = loads[np.isfinite(loads)]
    return max(0.0, float(known.sum(dtype=np.float64)) / len(known)) if 2 * len(known) > length else math.nan


def _known(*values: float) -> float:
    return next(value for value in values if not math.isnan(value))


def targets(loads: Floats, at: Bins, window: int) -> Floats:
    """Return the root of the highest 15 s mean from each bin to `window + 1` after it; NaN unless over and known."""
    smooth, ends = _smooth(loads), at + window + 1
    found = np.full(len(at), np.nan)
    over = ends < len(loads)
    found[over] = np.sqrt(_highest(smooth, ends[over], window + 2))
    return found


def fit_window(loads: Floats, window: int) -> WindowFit | None:
    """Fit the regression to `loads` by bins of BIN_S, of which the last just ended. None while too little is known."""
    if np.isfinite(loads).sum() < LEAST_BINS:
        return None
    at = np.arange(len(loads) - window - 2, 0, -EVERY)[::-1]
    rows, came = design(loads, at, window), targets(loads, at, window)
    sound = np.isfinite(came) & np.isfinite(rows).all(1)
    at, rows, came = at[sound], rows[sound], came[sound]
    if len(at) < LEAST_ROWS:
        return None
    tested = len(at) * 3 // 4
    weights, scaled, scale = _fitted(rows[:tested], came[:tested])
    foreseen = np.maximum(rows[tested:] @ weights + scale * np.quantile(scaled, SCORED), 0.0) ** 2
    highest = came[tested:] ** 2
    smooth = np.nan_to_num(_smooth(loads))
    naive = [_pinball(highest - _highest(smooth, at[tested:], span)) for span in naive_spans(window, BIN_S)]
    weights, scaled, scale = _fitted(rows, came)
    return WindowFit(
        window=window,
        weights=weights.tolist(),
        quantiles=np.quantile(scaled, LEVELS).tolist(),
        scale=scale,
        loss=_pinball(highest - foreseen),
        naive_loss=min(naive),
        coverage=float((highest <= foreseen).mean()),
    )


def scales(residuals: Floats) -> Floats:
    """Return the size of residuals up to each row, by exponential means of their squares. Rows are a minute apart."""
    short = long = float(np.mean(residuals[:SHORT] ** 2))
    found = np.empty(len(residuals))
    for i, square in enumerate((residuals**2).tolist()):
        short += (square - short) / SHORT
        long += (square - long) / LONG
        found[i] = math.sqrt((short + long) / 2)
    return np.maximum(found, 1e-3)


def spread(fit: WindowFit, row: Floats) -> Spread:
    """Return pairs of probability and erlangs of the highest load of the window; empty when the level is not known."""
    middle = float(row @ np.array(fit.weights))
    if not math.isfinite(middle):
        return ()
    loads = np.maximum(middle + fit.scale * np.array(fit.quantiles), 0.0) ** 2
    return tuple(zip(CHANCES.tolist(), loads.tolist(), strict=True))


def _fitted(rows: Floats, came: Floats) -> tuple[Floats, Floats, float]:
    """Return the weights, the residuals ÷ their scale, and the present scale."""
    weights: Floats = np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T @ came).astype(np.float64)
    residuals = came - rows @ weights
    scale = scales(residuals)
    late = np.concatenate((scale[:1], scale[:-1]))
    return weights, (residuals / late)[-SPREAD_ROWS:], float(scale[-1])


def _smooth(loads: Floats) -> Floats:
    """Return the mean of 15 s up to each bin; NaN where it is not known."""
    known = np.isfinite(loads)
    totals = np.concatenate(([0.0], np.cumsum(np.where(known, loads, 0.0))))
    counts = np.concatenate(([0], np.cumsum(known)))
    return _mean(totals, counts, np.arange(len(loads)), LOAD_BINS)


def _mean(totals: Floats, counts: npt.NDArray[np.integer], at: Bins, length: int) -> Floats:
    """Return the mean of the known values in the `length` bins up to each of `at`; NaN when at most half are known."""
    ends, begins = np.clip(at + 1, 0, len(totals) - 1), np.clip(at + 1 - length, 0, len(totals) - 1)
    count = counts[ends] - counts[begins]
    means: Floats = np.where(2 * count > length, (totals[ends] - totals[begins]) / np.maximum(count, 1), np.nan)
    return np.where(np.isnan(means), means, np.maximum(means, 0.0))


def _highest(values: Floats, at: Bins, length: int) -> Floats:
    """Return the highest of the `length` values up to each of `at`."""
    if len(at) == 1:
        return np.array([values[max(0, int(at[0]) + 1 - length) : int(at[0]) + 1].max()])
    found, covered = values, 1
    while covered < min(length, len(values)):
        step = min(covered, length - covered)
        found = np.concatenate((found[:step], np.maximum(found[step:], found[:-step])))
        covered += step
    highest: Floats = found[at]
    return highest


def _pinball(errors: Floats) -> float:
    return float(np.maximum(SCORED * errors, (SCORED - 1) * errors).mean())
