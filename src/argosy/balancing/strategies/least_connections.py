"""Fewest requests in flight from this caller per unit of weight. Ties are broken at random, so that callers differ."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.balancing.candidate import Candidate
from argosy.balancing.strategy import PickRequest, Strategy


class LeastConnections(Strategy):
    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        fewest = min((c.in_flight + 1) / c.weight for c in candidates)
        return self.rng.choice([c for c in candidates if (c.in_flight + 1) / c.weight == fewest])
