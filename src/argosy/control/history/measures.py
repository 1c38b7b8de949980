"""Measures recorded for a service and for each of its replicas, and their reading."""

from __future__ import annotations

import math

import numpy as np

from argosy.contracts.errors import InvalidRequest
from argosy.contracts.history import HistoryPage, Points
from argosy.control.history.arrays import Floats, known_means
from argosy.control.history.series import LEVELS, Series

TICK_S = 15
COARSE_S = 300
MEASURES = (
    "rate",
    "in_flight",
    "queued",
    "served",
    "response",
    "queue_time",
    "cpu",
    "memory",
    "errors",
    "overload",
    "ready",
    "replicas",
)
"""The last two exist for services only. Measures of a replica: `recorded` in control/scaling/metering.py."""
LONGEST_S = 90 * 86_400
MOST_POINTS = 1440
FINE_KEPT_S = next(level.kept_s for level in LEVELS if level.step_s == TICK_S)


def replica_series(service: str, replica: str) -> str:
    """Return the prefix of the series names of a replica."""
    return f"{service}/{replica}/"


def history_of(series: Series, service: str, window_s: int, measure: str | None, wall_s: float) -> HistoryPage:
    """Return the last `window_s` of a service, and of its replicas for which anything is known. Reads the disk.

    Raises: InvalidRequest when `window_s` is above LONGEST_S or there is no such measure.
    """
    if window_s > LONGEST_S:
        raise InvalidRequest("window is above the 90 days of history that are kept; ask for less.", param="window")
    if measure is not None and measure not in MEASURES:
        raise InvalidRequest(f"measure is none of {', '.join(MEASURES)}; correct it.", param="measure")
    names = MEASURES if measure is None else (measure,)
    step_s = TICK_S if window_s <= MOST_POINTS * TICK_S else COARSE_S
    joined = math.ceil(window_s / step_s / MOST_POINTS)
    count = math.ceil(window_s / step_s / joined) * joined
    last = int(wall_s // step_s) - 1
    last -= (last + 1) % joined
    first = last - count + 1
    prefix = f"{service}/"
    found: dict[str, dict[str, Points]] = {}
    for name in series.names():
        owner, _, what = name.removeprefix(prefix).rpartition("/")
        if not name.startswith(prefix) or what not in names:
            continue
        points = known_means(points_of(series, name, step_s, first, last).reshape(-1, joined))
        if np.isfinite(points).any():
            found.setdefault(owner, {})[what] = [_short(value) for value in points.tolist()]
    own = found.pop("", {})
    return HistoryPage(service, step_s * joined, float(first * step_s), own, dict(sorted(found.items())))


def points_of(series: Series, name: str, step_s: int, first: int, last: int) -> Floats:
    """Return bins `first` to `last`. Recent means of COARSE_S that are not yet written are computed from ticks."""
    points: Floats = series.read(name, step_s, first, last).astype(np.float64)
    if step_s != COARSE_S:
        return points
    each = COARSE_S // TICK_S
    lately = max(first, last - FINE_KEPT_S // COARSE_S + 1)
    if np.isfinite(points[lately - first :]).all():
        return points
    fine = known_means(series.read(name, TICK_S, lately * each, last * each + each - 1).reshape(-1, each))
    points[lately - first :] = np.where(np.isfinite(fine), fine, points[lately - first :])
    return points


def _short(value: float) -> float | None:
    """Round to six digits, because more are not stored, and return None for NaN, which JSON cannot express."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
