"""Forecast of one series in minutes: its past, its experts, and one mixture per horizon."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence

import numpy as np

from argosy.control.history.arrays import Floats
from argosy.control.prediction.minutes import experts
from argosy.control.prediction.minutes.autoregression import PAST_MIN
from argosy.control.prediction.minutes.experts import Fit, Smooth
from argosy.control.prediction.minutes.mixture import Record, Said

HORIZONS_MIN = (1, 5, 10, 30)
PAST_DAYS = 15
"""Two weeks and a day, so that a weekly season can be seen twice."""
RING = PAST_DAYS * 1440


class LoadForecast:
    """Forecast of one series.

    Bins are minutes of wall time. `fit` may be replaced at any time; forecasts already made stay.
    """

    def __init__(self, horizons_min: Sequence[int] = HORIZONS_MIN) -> None:
        self.horizons_min = tuple(horizons_min)
        self.fit = Fit()
        self.records = [Record() for _ in self.horizons_min]
        self.last_bin: int | None = None
        self.latest: list[Said | None] = [None for _ in self.horizons_min]
        """Latest forecast of each horizon, made after the last minute; None when that minute is not known."""
        self._smooth = Smooth()
        self._values: Floats = np.full(2 * RING, np.nan)
        """Ring of twice the kept length, so that the past is always one slice."""
        self._end = PAST_MIN
        self._open: list[collections.deque[Said]] = [collections.deque() for _ in self.horizons_min]

    def fill(self, first: int, values: Floats) -> None:
        """Add minutes recorded earlier, without scoring."""
        for offset, value in enumerate(values.tolist()):
            self._advance(first + offset, value)

    def add(self, bin_number: int, value: float) -> None:
        """Add a minute that is over. NaN and impossible values count as not known; older minutes are ignored."""
        if self.last_bin is not None and bin_number <= self.last_bin:
            return
        sound = math.isfinite(value) and value >= 0
        for record, waiting in zip(self.records, self._open, strict=True):
            while waiting and waiting[0].bin_number <= bin_number:
                said = waiting.popleft()
                if said.bin_number == bin_number and sound:
                    record.take(said, value)
        self._advance(bin_number, value)
        self.latest = self._say()
        for waiting, latest in zip(self._open, self.latest, strict=True):
            if latest is not None:
                waiting.append(latest)

    def _say(self) -> list[Said | None]:
        past = self.past()
        if self.last_bin is None or not math.isfinite(past[-1]):
            return [None for _ in self.horizons_min]
        said = experts.say(past[-PAST_MIN:], self.last_bin, self._smooth, self.fit, self.horizons_min)
        return [
            record.say(self.last_bin + ahead, row)
            for record, row, ahead in zip(self.records, said, self.horizons_min, strict=True)
        ]

    def past(self, length: int = RING) -> Floats:
        """Return the newest minutes, at least PAST_MIN; NaN where a value is not known."""
        return self._values[max(0, self._end - max(length, PAST_MIN)) : self._end]

    def _advance(self, bin_number: int, value: float) -> None:
        skipped = 0 if self.last_bin is None else min(bin_number - self.last_bin - 1, RING)
        for missing in [math.nan] * skipped:
            self._push(missing)
        self.last_bin = bin_number
        if math.isfinite(value) and value >= 0:
            self._smooth.take(value)
            self._push(value)
        else:
            self._push(math.nan)

    def _push(self, value: float) -> None:
        if self._end == len(self._values):
            self._values[:RING] = self._values[-RING:]
            self._end = RING
        self._values[self._end] = value
        self._end += 1
