"""Parts of every service process: identity, readiness, load, limits, metrics."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from argosy.config.models import Fleet
from argosy.config.service import ServiceSettings
from argosy.contracts.balance import BalanceExplanation
from argosy.contracts.fleet import Calls, Health, ReplicaStatus
from argosy.contracts.request import Clock
from argosy.serving.admission import Admission
from argosy.serving.admission_metrics import AdmissionMetrics
from argosy.serving.defences import Defences
from argosy.serving.held_bytes import HeldBytes
from argosy.serving.load import LoadTracker
from argosy.serving.loops import Loops
from argosy.serving.readiness import Readiness
from argosy.serving.runfile import RunRecord
from argosy.serving.waiting import Waiters
from argosy.telemetry.access_log import Served
from argosy.telemetry.metrics import ServiceMetrics

Details = dict[str, str | int | float | bool | None]
DEFAULT_TIMEOUT_S = 60.0


@dataclass(slots=True)
class Kit:
    """Parts of one service process. `argosy.serving.server` builds them; the service adds its engine."""

    record: RunRecord
    fleet: Fleet
    settings: ServiceSettings
    clock: Clock = time.monotonic
    readiness: Readiness = field(default_factory=Readiness)
    details: Callable[[], Details] = dict
    """Details that the service adds to its status."""
    degraded: Callable[[], str] = str
    """Reason why the service works with reduced function now; empty when it does not."""
    shortage: Callable[[], str] = str
    """Reason why connections are refused now; empty when they are accepted."""
    calls: Callable[[], dict[str, Calls]] = dict
    """Observations of this process on the replicas that it calls."""
    balance: Callable[[str], BalanceExplanation | None] = lambda service: None
    """Explanation of how this process balances the service; None when it does not call the service."""
    served: Callable[[Served], None] = lambda served: None
    """Called with each answered request, for the access log."""
    loops: Loops = field(default_factory=Loops)
    """Background loops of the process; a failing loop makes the replica DEGRADED."""
    timeouts_s: Mapping[str, float] = field(default_factory=dict)
    """Default deadline by path prefix."""
    public_prefixes: tuple[str, ...] = ()
    run_file: Path | None = None
    """Path of the run file; None for a kit without a process of its own."""
    metrics: ServiceMetrics = field(init=False)
    load: LoadTracker = field(init=False)
    admission: Admission = field(init=False)
    waiters: Waiters = field(init=False)
    held: HeldBytes = field(init=False)
    defences: Defences = field(init=False)
    started_s: float = field(init=False)

    def __post_init__(self) -> None:
        gateway = self.fleet.services.gateway
        self.metrics = ServiceMetrics(self.record.service)
        self.load = LoadTracker(self.clock, capacity=self.settings.max_in_flight, cpu_share=self.record.cpu_share)
        self.admission = Admission(
            self.record.service, self.settings.max_in_flight, self.settings.protection, self.clock
        )
        self.held = HeldBytes(self.settings.max_receiving_bytes, f"services.{self.record.service}.max_receiving_bytes")
        self.waiters = Waiters(
            self.settings.max_waiting, f"{self.record.service} service", f"services.{self.record.service}.max_waiting"
        )
        self.metrics.registry.register(AdmissionMetrics(self.record.service, self.admission, self.waiters))
        self.started_s = self.clock()
        self.configure_defences(gateway.allowed_hosts, gateway.allowed_origins, gateway.max_body_bytes)

    def configure_defences(self, hosts: tuple[str, ...], origins: tuple[str, ...], max_body_bytes: int) -> None:
        self.defences = Defences(
            token=self.record.token,
            allowed_hosts=frozenset(host.lower() for host in hosts),
            allowed_origins=frozenset(origins),
            public_prefixes=self.public_prefixes,
            max_body_bytes=max_body_bytes,
        )

    def timeout_s(self, path: str) -> float:
        """Return the default deadline of a path, in seconds."""
        return next((s for prefix, s in self.timeouts_s.items() if path.startswith(prefix)), DEFAULT_TIMEOUT_S)

    def status(self) -> ReplicaStatus:
        """Return the status of this replica as the controller reads it."""
        reason = self.readiness.reason()
        degraded = "; ".join(filter(None, (self.shortage(), self.degraded(), *self.loops.reasons())))
        health = Health.UNHEALTHY if reason else Health.DEGRADED if degraded else Health.HEALTHY
        return ReplicaStatus(
            service=self.record.service,
            replica=self.record.id,
            revision=self.record.revision,
            pid=os.getpid(),
            ready=not reason,
            draining=self.readiness.draining,
            health=health,
            reason=reason or degraded,
            uptime_s=self.clock() - self.started_s,
            endpoints_version=self.readiness.endpoints_version,
            load=self.load.snapshot(),
            details=self.details(),
            calls=self.calls(),
        )
