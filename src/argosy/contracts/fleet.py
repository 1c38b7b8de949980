"""Replicas, where they are and how they are: what the control plane and the data plane tell each other."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

SERVICES = ("store", "embedding", "documents", "retrieval", "generation", "gateway")


Count = Annotated[int, Meta(ge=0, le=2**53)]
Figure = Annotated[float, Meta(ge=0, le=1e15)]
"""A measurement. What is negative or beyond all measure is refused where a message is read, and stands for no answer:
decisions are made on these.
"""


class Health(enum.StrEnum):
    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"


class Endpoint(msgspec.Struct, frozen=True):
    """One replica that may be called. `url` has no trailing slash."""

    id: str
    url: str
    weight: float = 1.0
    proves: bool = False
    """Whether it proves that it knows the fleet's token. A call to one that cannot may reach a stranger."""


class EndpointSet(msgspec.Struct):
    """Who serves what, numbered.

    `version` is `EPOCH.N`: the epoch grows with each controller start, N with each change. `emptied` names services
    that have no endpoint on purpose; a follower keeps what it knew of any other service that is suddenly empty.
    """

    version: str
    services: dict[str, list[Endpoint]]
    emptied: list[str] = []

    def order(self) -> tuple[int, int]:
        """Raises: ValueError, the version is not `EPOCH.N`."""
        epoch, _, number = self.version.partition(".")
        return int(epoch), int(number)


class Load(msgspec.Struct):
    """A replica's load, as it reports it on every answer and in its status."""

    in_flight: Count = 0
    queued: Count = 0
    requests: Count = 0
    errors: Count = 0
    rejected: Count = 0
    latency_ms: Figure = 0.0
    cpu_utilization: Figure = 0.0
    mem_utilization: Figure = 0.0
    overloaded: Count = 0
    """Requests that failed for want of capacity: 429, 504, and a 503 that is not about another service."""
    named: dict[str, Figure] = {}
    """What the service measures itself, by name."""


class Calls(msgspec.Struct, array_like=True):
    """What a caller saw of one replica, since it knows it: calls that ended, and those that failed by its fault."""

    ended: Count = 0
    failed: Count = 0
    out: str = ""
    """Why the caller sends it nothing now; empty where it does."""


class ReplicaStatus(msgspec.Struct):
    """The answer of `GET /internal/status`. `reason` is empty where there is nothing to say."""

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
    """By id of the replica called."""


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
    """DEGRADED while one of its loops fails, UNHEALTHY when supervision has ended."""
    reason: str = ""


class FleetView(msgspec.Struct):
    controller: ControllerView
    status: Health
    services: list[ServiceView]


class StartOutcome(enum.StrEnum):
    STARTED = "started"
    FAILED = "failed"
    WAITING = "waiting"
    """Not tried, because something it requires did not start."""
    PENDING = "pending"


class ServiceStart(msgspec.Struct):
    service: str
    outcome: StartOutcome
    wave: int
    seconds: float | None = None
    error: str | None = None


class StartReport(msgspec.Struct):
    """How a start went, service by service in start order."""

    finished: bool
    services: list[ServiceStart]
    seconds: float = 0.0
    balancing: dict[str, str] = {}
    """Service → the strategy its callers pick a replica by."""
    monitoring_interval_s: float | None = None
    """Time between two probes of a replica; None while nothing is probed."""

    def count(self, outcome: StartOutcome) -> int:
        return sum(entry.outcome is outcome for entry in self.services)

    @property
    def complete(self) -> bool:
        return self.finished and all(s.outcome is StartOutcome.STARTED for s in self.services)
