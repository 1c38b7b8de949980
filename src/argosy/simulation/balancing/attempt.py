"""An attempt: one try of one request at one replica."""

from __future__ import annotations

from typing import Protocol

from argosy.balancing.lease import Lease
from argosy.balancing.outcome import LoadReport, OutcomeKind
from argosy.simulation.balancing.workload import Columns


class Asking(Protocol):
    """The caller of an attempt."""

    def answered(self, attempt: Attempt, kind: OutcomeKind) -> None:
        """Receive the answer."""
        ...


class Asked(Protocol):
    """The replica of an attempt."""

    def report(self) -> LoadReport:
        """Return the load that the replica sends with an answer."""
        ...


class Attempt:
    """Job of a simulated server, with the caller that receives the answer."""

    __slots__ = (
        "abandoned",
        "caller",
        "lease",
        "luck",
        "number",
        "prefix",
        "replica",
        "request",
        "started_s",
        "work_s",
    )

    def __init__(
        self, caller: Asking, replica: Asked, lease: Lease, request: int, number: int, columns: Columns, now_s: float
    ) -> None:
        self.caller = caller
        self.replica = replica
        self.lease = lease
        self.request = request
        self.number = number
        self.work_s = columns.work_s[request]
        self.luck = columns.luck[request]
        self.prefix = columns.prefixes[request]
        self.started_s = now_s
        self.abandoned = False
