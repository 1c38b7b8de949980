"""What each expert's word counts for: exponential weights in the discounted pinball loss, relative to the best's.

One weight for each quantile and expert: who knows best where the middle will be is not who knows best how far up it may
go (Berrisch and Ziel 2023 weight the experts of a distribution by quantile, too).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from argosy.control.prediction.arrays import Floats
from argosy.control.prediction.conformal import SIDE
from argosy.control.prediction.experts import NAIVE, NAMES

QUANTILES = (SIDE, 0.5, 1 - SIDE)
LOW, MIDDLE, HIGH = range(len(QUANTILES))
MEMORY_MIN = 1440.0
ETA = 40.0
"""An expert 5 % worse than the best has e^−2 of its weight."""
LEAST_SCORED = 60.0
NEW = 1e-3
"""The weight given before it was scored to an expert that has just begun to speak."""

_LEVELS = np.array(QUANTILES)[:, None]


def _nothing() -> list[list[float]]:
    return [[0.0] * len(NAMES) for _ in QUANTILES]


class Weighting(msgspec.Struct):
    """Discounted sums over the minutes that were scored, of each of QUANTILES and NAMES; so are all arrays here."""

    loss: list[list[float]] = msgspec.field(default_factory=_nothing)
    seen: list[list[float]] = msgspec.field(default_factory=_nothing)

    def weights(self, said: Floats) -> Floats:
        """0 for those with nothing to say (NaN); of each quantile they sum to 1 unless none speaks."""
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
        """What came of what the experts said, in the order of their times."""
        decay, speaking = math.exp(-1 / MEMORY_MIN), np.isfinite(said)
        losses = np.where(speaking, pinball(value - np.where(speaking, said, value)), 0.0)
        self.loss = (np.array(self.loss) * decay + losses).tolist()
        self.seen = (np.array(self.seen) * decay + speaking).tolist()


def pinball(errors: npt.NDArray[np.float64]) -> Floats:
    """The loss of each error, what came less what was said; of each of QUANTILES in rows."""
    losses: Floats = np.maximum(_LEVELS * errors, (_LEVELS - 1) * errors)
    return losses
