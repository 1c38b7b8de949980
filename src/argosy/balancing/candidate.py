"""A replica that may be picked, and what this caller counts of it whatever the strategy."""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.balancing.outcome import LoadReport
from argosy.contracts.fleet import Endpoint


@dataclass(slots=True, eq=False)
class Candidate:
    """Written by the balancer only; strategies read. Compared by identity."""

    endpoint: Endpoint
    in_flight: int = 0
    full_weight: float = 1.0
    """The endpoint's own, relative to the heaviest: at most 1."""
    weight: float = 1.0
    """That, times what slow start and suspicion leave of it now."""
    picks: int = 0
    ended: int = 0
    failed: int = 0
    """Of those that ended: by the replica's fault (no connection, no answer in time, a 5xx)."""
    report: LoadReport | None = None
    """The last one it sent."""
    reported_s: float = 0.0
    """When it came. Without a report, when the replica was first heard of."""
    busy_since_s: float = 0.0
    """While requests are in flight: since when none of them has ended."""
    id: str = field(init=False)

    def __post_init__(self) -> None:
        self.id = self.endpoint.id
