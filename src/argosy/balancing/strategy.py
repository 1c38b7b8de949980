"""What a balancing strategy is."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import Outcome

FULL_SCAN_MOST = 64
"""Replicas up to which every one is looked at. Two at random draw two slow ones now and then; a scan never does."""
SAMPLE = 16
"""Replicas looked at where there are more."""


@dataclass(frozen=True, slots=True)
class PickRequest:
    """What a caller wants of a pick."""

    avoid: Collection[str] = ()
    """Ids that failed this request; used again only when there is no other."""
    key: str | None = None
    """Requests of the same key are best served by the same replica. Read by `consistent_hash`."""
    strategy: str | None = None
    """The name of another strategy, for this pick only."""


class Strategy:
    """One per service and calling process. Time comes in; randomness comes from the generator given at the start.

    A strategy keeps what it learns by replica id, and forgets it when told to.
    """

    lacks: str = ""
    """What the last pick had to do without; empty when it had the data that it is made for."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def pick(self, candidates: Sequence[Candidate], request: PickRequest, now_s: float) -> Candidate:
        """One of the candidates, of which there is at least one. Does not change them.

        A candidate's `in_flight` counts the requests before this one.
        """
        raise NotImplementedError

    def ended(self, candidate: Candidate, outcome: Outcome, now_s: float) -> None:
        """Learns from a call. `candidate.in_flight` no longer counts it. Called once for every pick that it made."""

    def probed(self, candidate: Candidate, now_s: float) -> None:
        """Learns from a report that came without a request: `candidate.report`."""

    def wanted_probes(self, candidates: Sequence[Candidate], now_s: float) -> Sequence[Candidate]:
        """Those to ask for their report now, in the background. Looked at after every pick."""
        return ()

    def forget(self, replica_id: str) -> None:
        """The replica is gone, or another one has its id."""

    def explain(self, candidate: Candidate, now_s: float) -> dict[str, float]:
        """The figures, with units in their names, that the choice rests on."""
        return {}

    def some(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """All of them up to FULL_SCAN_MOST, else as many as are worth looking at, at random."""
        return candidates if len(candidates) <= FULL_SCAN_MOST else self.rng.sample(candidates, SAMPLE)
