"""A replica that may be picked, with the counts that this caller keeps for every strategy."""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.balancing.outcome import LoadReport
from argosy.contracts.fleet import Endpoint


@dataclass(slots=True, eq=False)
class Candidate:
    """Counts of one replica. Only the balancer writes them; strategies read. Compared by identity."""

    endpoint: Endpoint
    in_flight: int = 0
    full_weight: float = 1.0
    """Weight of the endpoint relative to the heaviest one: at most 1."""
    weight: float = 1.0
    """Current weight: the full weight times the share that slow start and suspicion leave of it."""
    picks: int = 0
    ended: int = 0
    failed: int = 0
    """Number of ended requests that failed through the replica's fault: no connection, no answer in time, or a 5xx."""
    report: LoadReport | None = None
    """Latest load report of the replica."""
    reported_s: float = 0.0
    """Time of the latest report, or of first contact when there is no report."""
    busy_since_s: float = 0.0
    """Time since which no request has ended, while requests are in flight."""
    id: str = field(init=False)

    def __post_init__(self) -> None:
        self.id = self.endpoint.id
