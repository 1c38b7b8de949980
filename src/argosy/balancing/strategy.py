"""What a balancing strategy is, and the table of them. Adding one touches one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from argosy.contracts.fleet import Endpoint


@dataclass(slots=True)
class Candidate:
    """A replica that may be picked, and what this caller knows of it."""

    endpoint: Endpoint
    in_flight: int = 0
    picks: int = 0
    ended: int = 0
    failed: int = 0
    """Of those that ended: by the replica's fault (no connection, no answer in time, a 5xx)."""


class Strategy(Protocol):
    def pick(self, candidates: Sequence[Candidate]) -> Candidate:
        """One of the candidates, of which there is at least one. Does not change them."""
        ...


def _table() -> Mapping[str, Callable[[], Strategy]]:
    from argosy.balancing.strategies.least_connections import LeastConnections
    from argosy.balancing.strategies.round_robin import RoundRobin

    return {
        "least_connections": LeastConnections,
        "round_robin": RoundRobin,
    }


def create(name: str) -> Strategy:
    """The strategy of that name. The configuration admits no other names."""
    return _table()[name]()
