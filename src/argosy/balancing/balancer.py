"""Picks a replica of one service and counts what is in flight to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from argosy.balancing.strategy import Candidate, Strategy
from argosy.contracts.errors import Unavailable
from argosy.contracts.fleet import Endpoint

RETRY_AFTER_S = 1.0


class Balancer:
    """One per service and calling process. Used from one event loop."""

    def __init__(self, service: str, strategy: Strategy) -> None:
        self._service = service
        self._strategy = strategy
        self._candidates: dict[str, Candidate] = {}

    def update(self, endpoints: Sequence[Endpoint]) -> None:
        """Replaces the replicas. Those that stay keep their counts; requests to those that go are not disturbed."""
        known = self._candidates
        self._candidates = {
            endpoint.id: known[endpoint.id]
            if endpoint.id in known and known[endpoint.id].endpoint == endpoint
            else Candidate(endpoint)
            for endpoint in endpoints
        }

    @property
    def candidates(self) -> list[Candidate]:
        return list(self._candidates.values())

    def record(self, endpoint_id: str, *, failed: bool) -> None:
        """Notes how a call to a replica ended; one that is no longer known is not counted."""
        candidate = self._candidates.get(endpoint_id)
        if candidate is not None:
            candidate.ended += 1
            candidate.failed += failed

    @contextmanager
    def lease(self, avoid: Collection[str] = ()) -> Iterator[Endpoint]:
        """A replica, counted as busy while the context lasts.

        Args:
            avoid: ids that failed this request; used again only when there is no other.
        Raises: Unavailable, naming the service, when it has no replica.
        """
        known = list(self._candidates.values())
        if not known:
            raise Unavailable(f"The {self._service} service has no running replica.", retry_after_s=RETRY_AFTER_S)
        picked = self._strategy.pick([c for c in known if c.endpoint.id not in avoid] or known)
        picked.in_flight += 1
        picked.picks += 1
        try:
            yield picked.endpoint
        finally:
            picked.in_flight -= 1
