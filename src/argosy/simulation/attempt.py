"""An attempt: one try of one request at one replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

from argosy.balancing.lease import Lease
from argosy.simulation.workload import Columns

if TYPE_CHECKING:
    from argosy.simulation.caller import Caller
    from argosy.simulation.replica import Replica


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
        self, caller: Caller, replica: Replica, lease: Lease, request: int, number: int, columns: Columns, now_s: float
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
