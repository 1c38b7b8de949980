"""Fewest requests in flight from this caller; ties go to a random one, so that callers do not move in step."""

from __future__ import annotations

import random
from collections.abc import Sequence

from argosy.balancing.strategy import Candidate


class LeastConnections:
    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()

    def pick(self, candidates: Sequence[Candidate]) -> Candidate:
        fewest = min(candidate.in_flight for candidate in candidates)
        return self._rng.choice([candidate for candidate in candidates if candidate.in_flight == fewest])
