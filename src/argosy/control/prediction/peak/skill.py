"""Track record of a forecast of the highest load of the coming window, against a forecast without a model. Pure."""

from __future__ import annotations

import msgspec

NAIVE_WINDOWS = (1, 2, 4)
"""Naive forecasts: the coming window will be as high as the highest of this many past windows.

The naive forecast with the least loss is the benchmark. The last value would be too easy to beat: it is nearly always
below the highest of a window.
"""
LONGEST_NAIVE_S = 3600


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Mean pinball losses at the same quantile, in the unit of the load."""

    loss: float
    naive_loss: float
    """Least loss among NAIVE_WINDOWS."""
    coverage: float
    """Share of windows that stayed at or below their forecast."""

    @property
    def trusted(self) -> bool:
        return self.loss < self.naive_loss


def naive_spans(window: int, step_s: int) -> list[int]:
    """Return the length of each of NAIVE_WINDOWS in bins of `step_s`: at most an hour, unless one window is longer."""
    return [min(count * (window + 2), max(LONGEST_NAIVE_S // step_s, window + 2)) for count in NAIVE_WINDOWS]
