"""Values of a series as arrays: NaN stands for what is not known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def known_means(rows: npt.NDArray[np.floating]) -> Floats:
    """The mean of what is known in each row, shape (rows, points); NaN where nothing is."""
    known = np.isfinite(rows)
    count = known.sum(1)
    total = np.where(known, rows, 0).sum(1, dtype=np.float64)
    means: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means
