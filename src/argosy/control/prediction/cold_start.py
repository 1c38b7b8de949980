"""Time that a service's replicas take to become ready, learnt from observed starts. Pure."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from argosy.control.observation import COLD_START_S

KEPT = 20
PLANNED = 0.8
"""Quantile of the observed starts that planning uses."""


class ColdStarts(msgspec.Struct, frozen=True):
    seen_s: tuple[float, ...] = ()

    def next(self, last_s: float) -> ColdStarts:
        """Add the duration of the latest start, which is reported at every look; NaN when no start was seen.

        A repeated value is the same start and is not added again.
        """
        if not math.isfinite(last_s) or last_s < 0 or self.seen_s[-1:] == (last_s,):
            return self
        return ColdStarts((*self.seen_s, last_s)[-KEPT:])

    @property
    def planned_s(self) -> float:
        return float(np.quantile(self.seen_s, PLANNED)) if self.seen_s else COLD_START_S
