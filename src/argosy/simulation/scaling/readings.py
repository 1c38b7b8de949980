"""Readings that a live fleet would have at a moment of a run, with no knowledge of the future."""

from __future__ import annotations

from argosy.simulation.scaling.ledger import Ledger


class Readings:
    """Readings at one moment. The same object is moved forward through a run."""

    __slots__ = ("_ledger", "max_replicas", "min_replicas", "now", "ready", "replicas", "slots")

    def __init__(self, ledger: Ledger, slots: int, min_replicas: int, max_replicas: int) -> None:
        self._ledger = ledger
        self.slots, self.min_replicas, self.max_replicas = slots, min_replicas, max_replicas
        self.now = 0
        """Seconds since the start of the run."""
        self.replicas, self.ready = 0, 0

    @property
    def in_flight(self) -> float:
        """Requests in the system now, including waiting ones."""
        return self._ledger.in_flight.item(self.now)

    @property
    def waiting(self) -> float:
        return self._ledger.waiting.item(self.now)

    def mean_in_flight(self, window_s: int) -> float:
        since = max(0, self.now - window_s)
        if since == self.now:
            return 0.0
        present_s = self._ledger.present_s
        return (present_s.item(self.now) - present_s.item(since)) / (self.now - since)

    def busy_share(self, window_s: int) -> float:
        """Return the busy share of the slots that are ready now, as a CPU meter shows it when all work is CPU time."""
        since = max(0, self.now - window_s)
        if since == self.now or not self.ready:
            return 0.0
        busy_s = self._ledger.busy_s
        return (busy_s.item(self.now) - busy_s.item(since)) / ((self.now - since) * self.ready * self.slots)

    def arrivals(self, window_s: int) -> float:
        arrived = self._ledger.arrived
        return arrived.item(self.now) - arrived.item(max(0, self.now - window_s))

    def ended(self, window_s: int) -> float:
        ended = self._ledger.ended
        return ended.item(self.now) - ended.item(max(0, self.now - window_s))

    def mean_response_s(self, window_s: int) -> float | None:
        """Return the mean response time of the requests that ended in the window; None when none ended."""
        since, ended, response_s = max(0, self.now - window_s), self._ledger.ended, self._ledger.response_s
        count = ended.item(self.now) - ended.item(since)
        return (response_s.item(self.now) - response_s.item(since)) / count if count > 0 else None
