"""Mixture of experts for one horizon, quantile by quantile, and a record of its error against the naive forecast.

The middle is the weighted mean of the experts' forecasts; each end of the band is the weighted mean of that end of the
experts' bands. A band around the middle alone fails when errors are skewed: the expert that is best on most minutes is
not the one that knows how large the worst error may be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from argosy.control.history.arrays import Floats
from argosy.control.prediction.minutes.conformal import Band, Bands, Stretch
from argosy.control.prediction.minutes.experts import NAIVE, NAMES
from argosy.control.prediction.minutes.weighting import (
    HIGH,
    LEAST_SCORED,
    LOW,
    MEMORY_MIN,
    MIDDLE,
    QUANTILES,
    Weighting,
)


@dataclass(frozen=True, slots=True)
class Said:
    """Forecast for the minute `bin_number`."""

    bin_number: int
    experts: Floats
    """Forecasts of the experts, shape (QUANTILES, NAMES); NaN where an expert has no forecast."""
    point: float
    band: Band | None
    weights: Floats
    """Weights of the experts' points."""


class Record(msgspec.Struct):
    """State of the mixture, and discounted sums over the scored minutes."""

    weighting: Weighting = msgspec.field(default_factory=Weighting)
    alone: list[Bands] = msgspec.field(default_factory=lambda: [Bands() for _ in NAMES])
    """Band of each expert."""
    stretch: Stretch = msgspec.field(default_factory=Stretch)
    mixed: float = 0.0
    naive: float = 0.0
    scored: float = 0.0

    def say(self, bin_number: int, points: Floats) -> Said | None:
        """Return the mixture of the experts' `points`; None when no expert has a forecast."""
        experts = np.full((len(QUANTILES), len(NAMES)), np.nan)
        experts[MIDDLE] = points
        for i, point in enumerate(points.tolist()):
            band = self.alone[i].around(point) if math.isfinite(point) else None
            if band is not None:
                experts[LOW, i], experts[HIGH, i] = band
        weights = self.weighting.weights(experts)
        if not weights[MIDDLE].any():
            return None
        low, point, high = (weights * np.where(np.isfinite(experts), experts, 0.0)).sum(1).tolist()
        known = bool(weights[LOW].any() and weights[HIGH].any())
        band = self.stretch.around(point, (low, high)) if known else None
        return Said(bin_number, experts, point, band, weights[MIDDLE])

    def take(self, said: Said, value: float) -> None:
        """Learn the actual value of a forecast. Values come in order of time."""
        self.weighting.take(said.experts, value)
        for bands, (low, point, high) in zip(self.alone, said.experts.T.tolist(), strict=True):
            if math.isfinite(point):
                bands.take(point, (low, high) if math.isfinite(low) else None, value)
        if said.band is not None:
            self.stretch.take(said.band, value)
        decay, naive = math.exp(-1 / MEMORY_MIN), float(said.experts[MIDDLE, NAIVE])
        self.mixed = self.mixed * decay + abs(value - said.point) / 2
        self.naive = self.naive * decay + (abs(value - naive) / 2 if math.isfinite(naive) else 0.0)
        self.scored = self.scored * decay + 1

    @property
    def trusted(self) -> bool:
        """Whether the mixture had less error than the last value as forecast."""
        return self.scored >= LEAST_SCORED and self.mixed < self.naive
