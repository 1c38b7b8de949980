"""Interface of balancing strategies."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import Outcome

FULL_SCAN_MOST = 64
"""Number of replicas up to which all are compared. Two drawn at random are sometimes both slow; a scan avoids that."""
SAMPLE = 16
"""Number of replicas compared where there are more."""


@dataclass(frozen=True, slots=True)
class PickRequest:
    """Wishes of a caller for one pick."""

    avoid: Collection[str] = ()
    """Ids of replicas that failed this request; they are used again only when there is no other."""
    key: str | None = None
    """Key of the request. `consistent_hash` sends requests of one key to the same replica."""
    strategy: str | None = None
    """Name of another strategy to use for this pick only."""


class Strategy:
    """Strategy of one service in one calling process. Time comes in; randomness comes from the given generator.

    A strategy keeps its knowledge by replica id and forgets it when told to.
    """

    lacks: str = ""
    """Data that the last pick lacked; empty when it had all the data that the strategy is designed for."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        """Pick one of the candidates, of which there is at least one, without changing them.

        A candidate's `in_flight` does not include this request.
        """
        raise NotImplementedError

    def ended(self, candidate: Candidate, outcome: Outcome, now_s: float) -> None:
        """Learn from a call. `candidate.in_flight` no longer counts it. Called once for each pick of this strategy."""

    def probed(self, candidate: Candidate, now_s: float) -> None:
        """Learn from `candidate.report`, which came without a request."""

    def wanted_probes(self, candidates: Sequence[Candidate], now_s: float) -> Sequence[Candidate]:
        """Return the candidates to ask for a report now, in the background. Called after every pick."""
        return ()

    def forget(self, replica_id: str) -> None:
        """Forget a replica that is gone, or whose id now belongs to another one."""

    def explain(self, candidate: Candidate, now_s: float) -> dict[str, float]:
        """Return the figures that the choice rests on, with units in their names."""
        return {}

    def some(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return all candidates up to FULL_SCAN_MOST, else a random sample."""
        return candidates if len(candidates) <= FULL_SCAN_MOST else self.rng.sample(candidates, SAMPLE)
