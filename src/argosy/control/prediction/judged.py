"""How well the highest load of the coming window is foreseen, against what needs no model. Pure."""

from __future__ import annotations

import msgspec

NAIVE_WINDOWS = (1, 2, 4)
"""What needs no model: the coming window will be as high as the highest of so many windows past. Of these, whichever
loses least. The last value would be no judge: it lies below the highest of a window nearly always."""
LONGEST_NAIVE_S = 3600


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Mean pinball losses at the same quantile; in the unit of the load."""

    loss: float
    naive_loss: float
    """The least of NAIVE_WINDOWS."""
    coverage: float
    """Share of windows that stayed at or below their forecast."""

    @property
    def trusted(self) -> bool:
        return self.loss < self.naive_loss


def naive_spans(window: int, step_s: int) -> list[int]:
    """How many bins of `step_s` each of NAIVE_WINDOWS has: at most an hour, unless one window is longer."""
    return [min(count * (window + 2), max(LONGEST_NAIVE_S // step_s, window + 2)) for count in NAIVE_WINDOWS]
