"""Lowest average response time × (1 + 0.1 × active).

Many operators know this strategy as "least response time". It herds by definition: load hardly counts beside latency,
so the fastest replica is overrun. It also takes a replica that fails at once for a fast one. `adaptive` does neither.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import Outcome, OutcomeKind
from argosy.balancing.strategy import PickRequest, Strategy

ACTIVE_FACTOR = 0.1
WINDOW = 100
"""Number of answers in the average."""


class ResponseTime(Strategy):
    """Strategy in which a replica without an answer counts as 0, so that each is tried; ties are broken at random."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self._average_s: dict[str, float] = {}
        self._samples: dict[str, deque[float]] = {}

    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        average_s = self._average_s
        lowest, best = float("inf"), []
        for candidate in self.some(candidates):
            cost = average_s.get(candidate.id, 0.0) * (1 + ACTIVE_FACTOR * candidate.in_flight) / candidate.weight
            if cost < lowest:
                lowest, best = cost, [candidate]
            elif cost == lowest:
                best.append(candidate)
        self.lacks = "" if average_s else "response times"
        return best[0] if len(best) == 1 else self.rng.choice(best)

    def ended(self, candidate: Candidate, outcome: Outcome, now_s: float) -> None:
        if outcome.kind is OutcomeKind.CANCELLED:
            return
        samples = self._samples.setdefault(candidate.id, deque(maxlen=WINDOW))
        samples.append(outcome.latency_s)
        self._average_s[candidate.id] = sum(samples) / len(samples)

    def forget(self, replica_id: str) -> None:
        self._average_s.pop(replica_id, None)
        self._samples.pop(replica_id, None)

    def explain(self, candidate: Candidate, now_s: float) -> dict[str, float]:
        average_s = self._average_s.get(candidate.id)
        return {} if average_s is None else {"average_ms": average_s * 1000}
