"""Forecast of the highest load of the coming window, as a quantile of past rises at the same place of a period.

Every `BIN_S` seconds b, in any unit of load: y = mean of 15 s, lev = mean of 60 s, w = ⌈(cold start + 15) ÷ 5⌉ bins,
and, once the window is over, the rise E[b] = max(y over b … b + w + 1) − lev[b]. For each period P the forecast is lev
plus the order statistic of {E[b − jP]} at rank ⌈q (m + 1)⌉, at most m, where m is the number of known rises. The period
with the least recent pinball loss is used.

The forecast never looks ahead: it uses only bins that are over (jP ≥ w + 2), and is scored only when its window is
over.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from argosy.control.prediction.peak.skill import NAIVE_WINDOWS, Judged, naive_spans

BIN_S = 5
DAY = 86_400 // BIN_S
LOAD_BINS = 15 // BIN_S
LEVEL_BINS = 60 // BIN_S
PERIODS = tuple(minutes * 60 // BIN_S for minutes in (5, 15, 30, 60, 120, 1440))
"""Periods in bins. The last is a day, of which a week is remembered; for the others, a day is remembered."""
REACH = (DAY, DAY, DAY, DAY, DAY, 7 * DAY)
QUANTILE = 0.98
LEAST_SCORES = 1440
LEAST_BINS = DAY
"""Number of recorded bins before the first forecast."""
DECAY = math.exp(-1 / DAY)
LONGEST_WINDOW = 1024
RING = 7 * DAY + LONGEST_WINDOW

Floats = npt.NDArray[np.float32]


class Scores(msgspec.Struct):
    """Discounted sums of pinball losses, for each period and each of NAIVE_WINDOWS, and their weights."""

    loss: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(PERIODS))
    covered: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(PERIODS))
    weight: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(PERIODS))
    highest: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(NAIVE_WINDOWS))
    windows: float = 0.0


class WindowPeak(Judged, frozen=True, kw_only=True):
    """Forecast of the highest load of the window that begins now, judged by recent windows."""

    peak: float
    period_s: int
    horizon_s: int


class Analogue:
    """Forecaster of one series.

    Bins are numbered by wall time ÷ BIN_S, so that patterns tied to the clock are found again after a restart.
    """

    def __init__(self, cold_start_s: float = 10.0, quantile: float = QUANTILE, scores: Scores | None = None) -> None:
        self._quantile = quantile
        self._loads: Floats = np.full(RING, np.nan, np.float32)
        self._rises: Floats = np.full(RING, np.nan, np.float32)
        self._last: int | None = None
        self._recorded = 0
        given = scores or Scores()
        self._loss, self._highest, self._windows = np.array(given.loss), np.array(given.highest), given.windows
        self._covered, self._weight = np.array(given.covered), np.array(given.weight)
        self._window = window_bins(cold_start_s)
        self._offsets = _offsets(self._window)

    @property
    def recorded_s(self) -> int:
        return self._recorded * BIN_S

    def scores(self) -> Scores:
        return Scores(
            self._loss.tolist(),
            self._covered.tolist(),
            self._weight.tolist(),
            self._highest.tolist(),
            self._windows,
        )

    def recent(self) -> Floats:
        """Return the last RING loads, oldest first; NaN where a load is not known."""
        oldest = ((self._last or 0) + 1) % RING
        return np.concatenate((self._loads[oldest:], self._loads[:oldest]))

    @property
    def window(self) -> int:
        """Length of the window in bins."""
        return self._window

    def fill(self, first: int, loads: npt.NDArray[np.floating]) -> None:
        """Replace all bins with bins recorded earlier, NaN where nothing was recorded."""
        kept = np.where(np.isfinite(loads) & (loads >= 0), loads, np.nan).astype(np.float32)[-RING:]
        self._loads[:], self._rises[:], self._last, self._recorded = np.nan, np.nan, None, 0
        if not kept.size:
            return
        self._last = first + len(loads) - 1
        self._loads[np.arange(self._last - len(kept) + 1, self._last + 1) % RING] = kept
        self._recorded = int(np.isfinite(kept).sum())
        self._relabel()

    def plan_for(self, cold_start_s: float) -> None:
        """Change the window to that of another cold start.

        The scores stay, because the best period depends little on the length of the window.
        """
        window = window_bins(cold_start_s)
        if window != self._window:
            self._window, self._offsets = window, _offsets(window)
            self._relabel()

    def add(self, bin_number: int, load: float) -> None:
        """Add the mean load of a bin that is over. NaN and impossible values count as not known.

        A bin that is not newer than the last one is ignored: the clock was set back.
        """
        if self._last is not None and bin_number <= self._last:
            return
        skipped = 0 if self._last is None else min(bin_number - self._last - 1, RING)
        for missed in range(bin_number - skipped, bin_number):
            self._put(missed, math.nan)
        self._put(bin_number, load if math.isfinite(load) and load >= 0 else math.nan)
        self._learn(bin_number - self._window - 1)

    def forecast(self) -> WindowPeak | None:
        """Return the forecast for the window that begins after the last bin; None while too little is known."""
        if self._last is None or self._recorded < LEAST_BINS:
            return None
        level = self._level(self._last)
        scored = self._weight >= LEAST_SCORES
        if not math.isfinite(level) or not scored.any():
            return None
        mean = np.where(scored, self._loss / np.maximum(self._weight, 1e-9), np.inf)
        best = int(np.argmin(mean))
        rise = self._rank(self._last, best)
        if not math.isfinite(rise):
            return None
        weight = float(self._weight[best])
        return WindowPeak(
            peak=max(0.0, level + rise),
            period_s=PERIODS[best] * BIN_S,
            horizon_s=self._window * BIN_S,
            loss=float(mean[best]),
            naive_loss=float(self._highest.min()) / self._windows if self._windows >= LEAST_SCORES else 0.0,
            coverage=float(self._covered[best]) / weight,
        )

    def _put(self, bin_number: int, load: float) -> None:
        at = bin_number % RING
        self._recorded += int(math.isfinite(load)) - int(math.isfinite(self._loads[at]))
        self._loads[at], self._rises[at], self._last = load, np.nan, bin_number

    def _learn(self, bin_number: int) -> None:
        """Score the forecasts for the window that began at that bin and is now over, then store its rise."""
        window = self._loads[np.arange(bin_number - LOAD_BINS + 1, bin_number + self._window + 2) % RING]
        means = _means(window, LOAD_BINS)
        level = self._level(bin_number)
        rise = float(means.max()) - level
        if not math.isfinite(rise):
            return
        self._loss *= DECAY
        self._highest *= DECAY
        self._covered *= DECAY
        self._weight *= DECAY
        self._windows = self._windows * DECAY + 1
        for i, highest in enumerate(self._highest_before(bin_number)):
            self._highest[i] += _pinball(rise - (highest - level), self._quantile)
        for i in range(len(PERIODS)):
            expected = self._rank(bin_number, i)
            if math.isfinite(expected):
                self._loss[i] += _pinball(rise - expected, self._quantile)
                self._covered[i] += rise <= expected
                self._weight[i] += 1
        self._rises[bin_number % RING] = rise

    def _highest_before(self, bin_number: int) -> list[float]:
        """Return the highest known 15 s mean in each of NAIVE_WINDOWS up to that bin.

        The bin must be the last one, and its load must be known.
        """
        spans = naive_spans(self._window, BIN_S)
        first = bin_number - max(spans) - LOAD_BINS + 2
        means = _means(self._loads[np.arange(first, bin_number + 1) % RING], LOAD_BINS)
        return [float(np.nanmax(means[-span:])) for span in spans]

    def _rank(self, bin_number: int, period: int) -> float:
        """Return the order statistic of that period's rises; NaN when there are none."""
        alike = self._rises[(bin_number - self._offsets[period]) % RING]
        alike = alike[np.isfinite(alike)]
        count = len(alike)
        if not count:
            return math.nan
        rank = min(count, math.ceil(self._quantile * (count + 1)))
        return float(np.partition(alike, rank - 1)[rank - 1])

    def _level(self, bin_number: int) -> float:
        return float(_means(self._loads[np.arange(bin_number - LEVEL_BINS + 1, bin_number + 1) % RING], LEVEL_BINS)[0])

    def _relabel(self) -> None:
        """Compute all rises again from the remembered loads."""
        if self._last is None:
            return
        bins = np.arange(self._last - RING + 1, self._last + 1) % RING
        loads = self._loads[bins]
        means = np.full(RING, np.nan, np.float32)
        means[LOAD_BINS - 1 :] = _means(loads, LOAD_BINS)
        levels = np.full(RING, np.nan, np.float32)
        levels[LEVEL_BINS - 1 :] = _means(loads, LEVEL_BINS)
        rises = np.full(RING, np.nan, np.float32)
        peaks = _running_max(means, self._window + 2)
        rises[: len(peaks)] = peaks - levels[: len(peaks)]
        self._rises[bins] = rises


def window_bins(cold_start_s: float) -> int:
    sound = cold_start_s if math.isfinite(cold_start_s) and cold_start_s >= 0 else 0.0
    return min(math.ceil((sound + 15) / BIN_S), LONGEST_WINDOW // 2)


def _offsets(window: int) -> list[npt.NDArray[np.int64]]:
    """Return, for each period, the offsets into the past of bins at the same place whose window was over before now."""
    return [
        np.array([o for o in range(period, reach + 1, period) if o >= window + 2], np.int64)
        for period, reach in zip(PERIODS, REACH, strict=True)
    ]


def _means(values: Floats, length: int) -> Floats:
    """Return the means of a sliding window. At most a third of its values may be missing, else the mean is NaN."""
    windows = np.lib.stride_tricks.sliding_window_view(values, length)
    known = np.isfinite(windows)
    count = known.sum(1)
    total = np.where(known, windows, np.float32(0)).sum(1, dtype=np.float64)
    few = count < length - length // 3
    means: Floats = np.where(few, np.nan, total / np.maximum(count, 1)).astype(np.float32)
    return means


def _running_max(values: Floats, length: int) -> Floats:
    """Return the maxima of a sliding window, by doubling; NaN where any value of the window is missing."""
    maxima, covered = values, 1
    while covered < length:
        step = min(covered, length - covered)
        maxima, covered = np.maximum(maxima[:-step], maxima[step:]), covered + step
    return maxima


def _pinball(error: float, quantile: float) -> float:
    """Return the pinball loss. `error` is the actual value minus the forecast."""
    return max(quantile * error, (quantile - 1) * error)
