"""Each replica in turn, in proportion to its weight and evenly interleaved.

Source: nginx's smooth weighted round robin, https://github.com/nginx/nginx/commit/52327e0627f4.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from argosy.balancing.candidate import Candidate
from argosy.balancing.strategy import PickRequest, Strategy


class RoundRobin(Strategy):
    """Strategy that follows the order of the endpoint set when weights are equal."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._credit: dict[str, float] = {}

    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        credit = self._credit
        total, best, most = 0.0, candidates[0], float("-inf")
        for candidate in candidates:
            total += candidate.weight
            held = credit[candidate.id] = credit.get(candidate.id, 0.0) + candidate.weight
            if held > most:
                best, most = candidate, held
        credit[best.id] -= total
        return best

    def forget(self, replica_id: str) -> None:
        self._credit.pop(replica_id, None)
