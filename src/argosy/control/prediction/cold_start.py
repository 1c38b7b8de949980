"""How long a service's replicas take to become ready, from the starts that were seen. Pure."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from argosy.control.scaling.observation import COLD_START_S

KEPT = 20
PLANNED = 0.8
"""The quantile that is planned with."""


class ColdStarts(msgspec.Struct, frozen=True):
    seen_s: tuple[float, ...] = ()

    def next(self, last_s: float) -> ColdStarts:
        """`last_s` is what the last start took, as told at every look, NaN where none was seen; the same again is the
        same start."""
        if not math.isfinite(last_s) or last_s < 0 or self.seen_s[-1:] == (last_s,):
            return self
        return ColdStarts((*self.seen_s, last_s)[-KEPT:])

    @property
    def planned_s(self) -> float:
        return float(np.quantile(self.seen_s, PLANNED)) if self.seen_s else COLD_START_S
