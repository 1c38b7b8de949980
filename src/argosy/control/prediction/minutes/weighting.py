"""Weights of the experts: exponential in the discounted pinball loss, relative to that of the best expert.

Each quantile and expert has its own weight: the expert that forecasts the middle best is not the one that forecasts the
upper end best (Berrisch and Ziel 2023 also weight the experts of a distribution by quantile).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from argosy.control.history.arrays import Floats
from argosy.control.prediction.minutes.conformal import SIDE
from argosy.control.prediction.minutes.experts import NAIVE, NAMES

QUANTILES = (SIDE, 0.5, 1 - SIDE)
LOW, MIDDLE, HIGH = range(len(QUANTILES))
MEMORY_MIN = 1440.0
ETA = 40.0
"""An expert whose loss is 5 % worse than the best has e^−2 of its weight."""
LEAST_SCORED = 60.0
NEW = 1e-3
"""Weight of a new expert before it is scored."""

_LEVELS = np.array(QUANTILES)[:, None]


def _nothing() -> list[list[float]]:
    return [[0.0] * len(NAMES) for _ in QUANTILES]


class Weighting(msgspec.Struct):
    """Discounted sums over the scored minutes. All arrays have the shape (QUANTILES, NAMES)."""

    loss: list[list[float]] = msgspec.field(default_factory=_nothing)
    seen: list[list[float]] = msgspec.field(default_factory=_nothing)

    def weights(self, said: Floats) -> Floats:
        """Return the weights: 0 for experts without a forecast (NaN).

        For each quantile the weights sum to 1, unless no expert has a forecast.
        """
        speaking, seen = np.isfinite(said), np.array(self.seen)
        mean = np.array(self.loss) / np.maximum(seen, 1e-9)
        judged = speaking & (seen >= LEAST_SCORED)
        best = np.where(judged, mean, np.inf).min(1, keepdims=True)
        known = np.isfinite(best)
        best = np.where(known, np.maximum(best, 1e-12), 1.0)
        raw = np.where(judged, np.exp(-ETA * (mean / best - 1)), np.where(speaking & known, NEW, 0.0))
        raw[:, NAIVE] = np.where(known[:, 0], raw[:, NAIVE], speaking[:, NAIVE])
        total = raw.sum(1, keepdims=True)
        weights: Floats = raw / np.where(total > 0, total, 1.0)
        return weights

    def take(self, said: Floats, value: float) -> None:
        """Learn the actual value of the experts' forecasts. Values come in order of time."""
        decay, speaking = math.exp(-1 / MEMORY_MIN), np.isfinite(said)
        losses = np.where(speaking, pinball(value - np.where(speaking, said, value)), 0.0)
        self.loss = (np.array(self.loss) * decay + losses).tolist()
        self.seen = (np.array(self.seen) * decay + speaking).tolist()


def pinball(errors: npt.NDArray[np.float64]) -> Floats:
    """Return the pinball loss of each error, the actual value minus the forecast, with one row per quantile."""
    losses: Floats = np.maximum(_LEVELS * errors, (_LEVELS - 1) * errors)
    return losses
