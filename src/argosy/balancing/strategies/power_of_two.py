"""The less busy of two replicas that are drawn at random.

Source: M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, IEEE TPDS 12 (2001).
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy.balancing.candidate import Candidate
from argosy.balancing.strategy import PickRequest, Strategy


class PowerOfTwo(Strategy):
    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        if len(candidates) == 1:
            return candidates[0]
        one, other = self.rng.sample(candidates, 2)
        return one if (one.in_flight + 1) / one.weight <= (other.in_flight + 1) / other.weight else other
