"""Values of a series as arrays, with NaN for values that are not known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def known_means(rows: npt.NDArray[np.floating]) -> Floats:
    """Return the mean of the known values in each row, shape (rows, points); NaN when a row has none."""
    known = np.isfinite(rows)
    count = known.sum(1)
    total = np.where(known, rows, 0).sum(1, dtype=np.float64)
    means: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means
