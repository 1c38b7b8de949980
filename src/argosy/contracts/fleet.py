"""Messages about replicas between the control plane and the data plane: endpoints, load, health and starts."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

SERVICES = ("store", "embedding", "documents", "retrieval", "generation", "gateway")


Count = Annotated[int, Meta(ge=0, le=2**53)]
Figure = Annotated[float, Meta(ge=0, le=1e15)]
"""Measurement on which decisions are made. A message with a negative or absurdly large figure is refused when it is
read, and counts as no answer.
"""


class Health(enum.StrEnum):
    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"


class Endpoint(msgspec.Struct, frozen=True):
    """Replica that may be called. `url` has no trailing slash."""

    id: str
    url: str
    weight: float = 1.0
    proves: bool = False
    """Whether the replica can prove that it knows the fleet's token. Without a proof, a call may reach a stranger."""


class EndpointSet(msgspec.Struct):
    """Numbered set of the endpoints of every service.

    `version` is `EPOCH.N`: the epoch grows with each controller start, N with each change. `emptied` names services
    that have no endpoint on purpose; a follower keeps the last endpoints of any other service that is suddenly empty.
    """

    version: str
    services: dict[str, list[Endpoint]]
    emptied: list[str] = []

    def order(self) -> tuple[int, int]:
        """Return epoch and number, by which versions are ordered.

        Raises: ValueError when the version is not `EPOCH.N`.
        """
        epoch, _, number = self.version.partition(".")
        return int(epoch), int(number)


class Load(msgspec.Struct):
    """Load of a replica, as the replica reports it on every response and in its status."""

    in_flight: Count = 0
    queued: Count = 0
    requests: Count = 0
    errors: Count = 0
    rejected: Count = 0
    latency_ms: Figure = 0.0
    cpu_utilization: Figure = 0.0
    mem_utilization: Figure = 0.0
    overloaded: Count = 0
    """Requests that failed for lack of capacity: 429, 504, and a 503 that is not about another service."""
    named: dict[str, Figure] = {}
    """Metrics that the service measures itself, by name."""


class Calls(msgspec.Struct, array_like=True):
    """Counts of one caller for one replica: ended calls, and calls that failed through the replica's fault."""

    ended: Count = 0
    failed: Count = 0
    out: str = ""
    """Reason why the caller sends the replica no calls now; empty when it does."""


class ReplicaStatus(msgspec.Struct):
    """Response of `GET /internal/status`. `reason` is empty when there is nothing to report."""

    service: str
    replica: str
    revision: str
    pid: int
    ready: bool
    draining: bool
    health: Health
    reason: str
    uptime_s: float
    endpoints_version: str | None
    load: Load
    details: dict[str, str | int | float | bool | None] = {}
    calls: dict[str, Calls] = {}
    """Counts by id of the replica called."""


class ReplicaView(msgspec.Struct):
    id: str
    pid: int | None
    endpoint: str | None
    revision: str
    status: Health
    reason: str
    response_time_ms: float | None
    error_count: int
    last_check: float | None
    details: dict[str, str | int | float | bool | None]
    started_at: float | None
    restarts: int


class ServiceView(msgspec.Struct):
    name: str
    status: Health
    reason: str
    desired: int
    response_time_ms: float | None
    error_count: int
    last_check: float | None
    details: dict[str, str | int | float | bool | None]
    replicas: list[ReplicaView]


class ControllerView(msgspec.Struct):
    pid: int
    started_at: float
    version: str
    status: Health = Health.HEALTHY
    """Health: DEGRADED while a loop of the controller fails, UNHEALTHY when supervision has ended."""
    reason: str = ""


class FleetView(msgspec.Struct):
    controller: ControllerView
    status: Health
    services: list[ServiceView]


class StartOutcome(enum.StrEnum):
    STARTED = "started"
    FAILED = "failed"
    WAITING = "waiting"
    """The start was not tried, because a required service did not start."""
    PENDING = "pending"


class ServiceStart(msgspec.Struct):
    service: str
    outcome: StartOutcome
    wave: int
    seconds: float | None = None
    error: str | None = None


class StartReport(msgspec.Struct):
    """Result of a start, service by service in start order."""

    finished: bool
    services: list[ServiceStart]
    seconds: float = 0.0
    balancing: dict[str, str] = {}
    """Balancing strategy of the callers of each service, by service."""
    monitoring_interval_s: float | None = None
    """Time between two probes of a replica; None while no replica is probed."""

    def count(self, outcome: StartOutcome) -> int:
        return sum(entry.outcome is outcome for entry in self.services)

    @property
    def complete(self) -> bool:
        return self.finished and all(s.outcome is StartOutcome.STARTED for s in self.services)
