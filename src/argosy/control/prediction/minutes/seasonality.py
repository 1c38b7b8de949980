"""Detection of a season by autocorrelation, which needs at least two cycles. Pure."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from argosy.control.history.arrays import Floats, known_means

STEP_MIN = 5
SHORTEST_MIN = 30
LEAST_CORRELATION = 0.2
LEAST_PROMINENCE = 0.2
"""Least height of a peak of the autocorrelation above the valley before it. A slow drift has no such peak."""
PASSED = 16
"""A sixteenth of the period must lie behind a peak: the last lags of a rising autocorrelation are no peak."""
NEARLY_AS_GOOD = 0.9
SMOOTHING_MIN = 15
PHASE_POINTS = 60
"""Number of points that each minute of a profile averages.

With fewer cycles, points come from the surrounding minutes, at most SMOOTHING_MIN. With many cycles, edges stay sharp.
"""


class Season(msgspec.Struct, frozen=True):
    period_min: int
    correlation: float
    profile: list[float]
    """Share of the mean load in each minute of the period, counted from bin 0. The mean is 1."""

    def at(self, bin_number: int) -> float:
        return self.profile[bin_number % self.period_min]


def find_season(values: Floats, first_bin: int) -> Season | None:
    """Return the season of a series of minutes, NaN where a value is not known; None when there is no season.

    Args:
        first_bin: the number of the first minute, which ties the profile to the clock.
    """
    coarse = _coarse(values)
    known = np.isfinite(coarse)
    if known.sum() < max(2, len(coarse) // 2):
        return None
    level = float(coarse[known].mean())
    if level <= 0:
        return None
    correlation = _autocorrelation(np.where(known, coarse - level, 0.0))
    period = _period(correlation)
    if period is None:
        return None
    profile = _profile(values, first_bin, period * STEP_MIN)
    return None if profile is None else Season(period * STEP_MIN, float(correlation[period]), profile)


def _coarse(values: Floats) -> Floats:
    whole = len(values) // STEP_MIN * STEP_MIN
    parts = values[len(values) - whole :].reshape(-1, STEP_MIN)
    return known_means(parts)


def _autocorrelation(values: Floats) -> Floats:
    """Return the autocorrelation at each lag up to half the length, so that at least two cycles were seen.

    The result is corrected for the smaller number of pairs at long lags.
    """
    size = len(values)
    spectrum = np.fft.rfft(values, 1 << (2 * size - 1).bit_length())
    products = np.fft.irfft(np.abs(spectrum) ** 2)[: size // 2 + 1]
    if products[0] <= 0:
        return np.zeros(1)
    correlation: Floats = products / products[0] * (size / (size - np.arange(len(products))))
    return correlation


def _period(correlation: Floats) -> int | None:
    """Return the shortest lag whose peak is nearly as high as the highest peak."""
    least = SHORTEST_MIN // STEP_MIN
    peaks = [
        lag
        for lag in range(least, len(correlation))
        if correlation[lag] >= LEAST_CORRELATION
        and correlation[lag] == correlation[lag - lag // 4 : lag + lag // 4 + 1].max()
        and lag + lag // PASSED < len(correlation)
        and correlation[lag] - correlation[lag // 4 : lag].min() >= LEAST_PROMINENCE
    ]
    if not peaks:
        return None
    highest = max(correlation[lag] for lag in peaks)
    return next(lag for lag in peaks if correlation[lag] >= NEARLY_AS_GOOD * highest)


def _profile(values: Floats, first_bin: int, period: int) -> list[float] | None:
    phases = (first_bin + np.arange(len(values))) % period
    known = np.isfinite(values)
    count = np.bincount(phases[known], minlength=period).astype(np.float64)
    total = np.bincount(phases[known], weights=values[known], minlength=period).astype(np.float64)
    width = min(SMOOTHING_MIN, period, math.ceil(PHASE_POINTS * period / max(1, known.sum())))
    kernel = np.ones(width)
    around = _circular(total, kernel), _circular(count, kernel)
    if (around[1] <= 0).any():
        return None
    shape = around[0] / around[1]
    mean = float(shape.mean())
    if not math.isfinite(mean) or mean <= 0:
        return None
    return np.maximum(shape / mean, 0.05).tolist()  # type: ignore[no-any-return]


def _circular(values: Floats, kernel: Floats) -> Floats:
    wide = np.concatenate([values[-(len(kernel) // 2) :], values, values[: (len(kernel) - 1) // 2]])
    smooth: Floats = np.convolve(wide, kernel, "valid")
    return smooth
