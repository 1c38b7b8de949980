"""Experts weighted by how well they did of late, for one horizon; with a band, and a record of its error against naive.

Weights are exponential in the discounted pinball loss (half the absolute error), relative to the best expert's.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from argosy.control.prediction.arrays import Floats
from argosy.control.prediction.conformal import Bands
from argosy.control.prediction.experts import NAIVE, NAMES

MEMORY_MIN = 1440.0
ETA = 40.0
"""An expert 5 % worse than the best has e^−2 of its weight."""
LEAST_SCORED = 60.0
NEW = 1e-3
"""The weight given before it was scored to an expert that has just begun to speak."""


class Record(msgspec.Struct):
    """Discounted sums over the minutes that were scored."""

    loss: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(NAMES))
    weight: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(NAMES))
    mixed: float = 0.0
    naive: float = 0.0
    scored: float = 0.0
    bands: Bands = msgspec.field(default_factory=Bands)

    def weights(self, said: Floats) -> Floats:
        """Of each expert, 0 for those with nothing to say; they sum to 1 unless none speaks."""
        speaking = np.isfinite(said)
        seen = np.array(self.weight)
        mean = np.array(self.loss) / np.maximum(seen, 1e-9)
        judged = speaking & (seen >= LEAST_SCORED)
        if not judged.any():
            alone = np.zeros(len(said))
            alone[NAIVE] = float(speaking[NAIVE])
            return alone
        best = max(float(mean[judged].min()), 1e-12)
        raw = np.where(judged, np.exp(-ETA * (mean / best - 1)), np.where(speaking, NEW, 0.0))
        weights: Floats = raw / raw.sum()
        return weights

    def take(self, said: Floats, point: float, band: tuple[float, float] | None, value: float) -> None:
        """What came of what the experts and the mixture said, in the order of their times."""
        decay = math.exp(-1 / MEMORY_MIN)
        speaking = np.isfinite(said)
        losses = np.where(speaking, np.abs(value - np.where(speaking, said, 0.0)) / 2, 0.0)
        self.loss = (np.array(self.loss) * decay + losses).tolist()
        self.weight = (np.array(self.weight) * decay + speaking).tolist()
        self.mixed = self.mixed * decay + abs(value - point) / 2
        self.naive = self.naive * decay + float(losses[NAIVE])
        self.scored = self.scored * decay + 1
        self.bands.take(point, band, value)

    @property
    def trusted(self) -> bool:
        """Whether it did better than the last value would have."""
        return self.scored >= LEAST_SCORED and self.mixed < self.naive
