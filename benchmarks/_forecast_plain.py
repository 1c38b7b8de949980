"""The simplest band: quantiles of an expert's errors of the last day."""

from __future__ import annotations

import bisect
import collections
import math

from argosy.control.prediction.minutes.conformal import COVERAGE, KEPT, LEAST, SIDE


class PlainBand:
    """Band of one expert and horizon."""

    def __init__(self) -> None:
        self._open: collections.deque[tuple[int, float]] = collections.deque()
        self._errors: collections.deque[float] = collections.deque()
        self._ordered: list[float] = []

    def next(self, bin_number: int, value: float, ahead: int, point: float) -> tuple[float, float]:
        """Add the minute that is over, then return the band of the one `ahead`; NaN while too little is known."""
        while self._open and self._open[0][0] <= bin_number:
            then, said = self._open.popleft()
            if then == bin_number:
                self._errors.append(value - said)
                bisect.insort(self._ordered, value - said)
        if len(self._errors) > KEPT:
            del self._ordered[bisect.bisect_left(self._ordered, self._errors.popleft())]
        if not math.isfinite(point):
            return math.nan, math.nan
        self._open.append((bin_number + ahead, point))
        count = len(self._ordered)
        if count < LEAST:
            return math.nan, math.nan
        low = max(0, int(SIDE * (count + 1)) - 1)
        high = min(count - 1, math.ceil((SIDE + COVERAGE) * (count + 1)) - 1)
        return max(0.0, point + self._ordered[low]), point + self._ordered[high]
