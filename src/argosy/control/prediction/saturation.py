"""Time until a growing quantity reaches its limit, by the median slope of a day (Theil and Sen). Pure.

Single jumps do not change a median slope.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LEAST_POINTS = 36
MOST_POINTS = 144
FURTHEST_S = 365 * 86_400.0


def seconds_until(limit: float, points: npt.NDArray[np.float64], step_s: float) -> float | None:
    """Return the seconds until the limit is reached; 0 when it is reached already.

    Returns None when the series does not grow, when the limit is over a year away, or when too little is known.
    """
    known = np.flatnonzero(np.isfinite(points))
    if len(known) < LEAST_POINTS or not np.isfinite(limit):
        return None
    known = known[:: -(-len(known) // MOST_POINTS)]
    times, values = known * step_s, points[known]
    i, j = np.triu_indices(len(known), 1)
    slope = float(np.median((values[j] - values[i]) / (times[j] - times[i])))
    now = float(np.median(values - slope * times)) + slope * (len(points) - 1) * step_s
    if now >= limit:
        return 0.0
    if slope <= 0 or (limit - now) / slope > FURTHEST_S:
        return None
    return (limit - now) / slope
