"""Lowest peak-sensitive average latency × (requests in flight + 1).

Source: Finagle, com.twitter.finagle.loadbalancer.PeakEwma: decay 10 s; a sample above the average replaces it; a
replica without history but with requests pending costs a penalty. Finagle takes the lower of two at random; here up to
64 replicas are all compared, which is better in every regime.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import Outcome, OutcomeKind
from argosy.balancing.strategy import PickRequest, Strategy

DECAY_S = 10.0
PENALTY_S = 1e6


class PeakEwma(Strategy):
    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._averages: dict[str, tuple[float, float]] = {}
        """Average latency in seconds and the time of its last update, by replica id."""

    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        lowest, best = float("inf"), candidates[0]
        draw = self.rng.random
        tie = 2.0
        for candidate in self.some(candidates):
            cost = self._cost(candidate, now_s) / candidate.weight
            if cost < lowest:
                lowest, best, tie = cost, candidate, 2.0
            elif cost == lowest:
                tie = draw() if tie == 2.0 else tie
                if (mine := draw()) < tie:
                    best, tie = candidate, mine
        self.lacks = "" if self._averages else "response times"
        return best

    def _cost(self, candidate: Candidate, now_s: float) -> float:
        known = self._averages.get(candidate.id)
        if known is None:
            return PENALTY_S + candidate.in_flight if candidate.in_flight else 0.0
        average_s, at_s = known
        return average_s * math.exp((at_s - now_s) / DECAY_S) * (candidate.in_flight + 1)

    def ended(self, candidate: Candidate, outcome: Outcome, now_s: float) -> None:
        if outcome.kind is OutcomeKind.CANCELLED:
            return
        average_s, at_s = self._averages.get(candidate.id, (0.0, now_s))
        kept = math.exp((at_s - now_s) / DECAY_S)
        sample_s = outcome.latency_s
        decayed_s = average_s * kept
        # Finagle decays the average at every read as well, so a sample meets the decayed value.
        risen = sample_s > decayed_s
        self._averages[candidate.id] = (sample_s if risen else decayed_s + sample_s * (1 - kept), now_s)

    def forget(self, replica_id: str) -> None:
        self._averages.pop(replica_id, None)

    def explain(self, candidate: Candidate, now_s: float) -> dict[str, float]:
        known = self._averages.get(candidate.id)
        return {} if known is None else {"peak_ewma_ms": known[0] * math.exp((known[1] - now_s) / DECAY_S) * 1000}
