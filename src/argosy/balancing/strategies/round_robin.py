"""Each replica in turn, in the order of the endpoint set."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.balancing.strategy import Candidate


class RoundRobin:
    def __init__(self) -> None:
        self._turn = -1

    def pick(self, candidates: Sequence[Candidate]) -> Candidate:
        self._turn += 1
        return candidates[self._turn % len(candidates)]
