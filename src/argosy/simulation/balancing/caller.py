"""A calling process with its own balancer, which knows only its own requests and the reports it received."""

from __future__ import annotations

from argosy.balancing.balancer import Balancer
from argosy.balancing.outcome import OutcomeKind
from argosy.balancing.strategy import PickRequest
from argosy.contracts.errors import Unavailable
from argosy.contracts.fleet import Endpoint
from argosy.simulation.balancing.attempt import Attempt
from argosy.simulation.balancing.protection import Protection
from argosy.simulation.balancing.record import Recorder
from argosy.simulation.balancing.regime import Retries
from argosy.simulation.balancing.replica import SimulatedReplica
from argosy.simulation.balancing.workload import Columns
from argosy.simulation.servers.kernel import Kernel

PROBE_TIME_S = 0.001
"""Time between asking a replica for its load report and receiving it."""


class Caller:
    """Client that sends each request and retries it as its `Retries` say. Each request ends exactly once."""

    __slots__ = ("_columns", "_kernel", "_protection", "_record", "_replicas", "_reports", "_retries", "balancer")

    def __init__(
        self,
        kernel: Kernel,
        balancer: Balancer,
        replicas: dict[str, SimulatedReplica],
        columns: Columns,
        retries: Retries | None,
        record: Recorder,
        *,
        reports: bool,
        protection: Protection | None,
    ) -> None:
        self._kernel = kernel
        self.balancer = balancer
        self._replicas = replicas
        self._columns = columns
        self._retries = retries
        self._record = record
        self._reports = reports
        self._protection = protection

    def send(self, request: int) -> None:
        now_s, protection = self._kernel.now_s, self._protection
        if protection is not None and not protection.admits(self._columns.luck[request], now_s):
            self._record.end(request, now_s, served=False)
            return
        self._attempt(request, 1, ())

    def _attempt(self, request: int, number: int, avoid: tuple[str, ...]) -> None:
        now_s, columns = self._kernel.now_s, self._columns
        try:
            lease = self.balancer.pick(PickRequest(avoid, columns.keys[request]))
        except Unavailable:
            self._record.end(request, now_s, served=False)
            return
        self._probe()
        replica = self._replicas[lease.endpoint.id]
        attempt = Attempt(self, replica, lease, request, number, columns, now_s)
        self._record.picked(replica.index, now_s)
        retries = self._retries
        if retries is not None:
            patience_s = min(retries.timeout_s, columns.arrivals_s[request] + retries.deadline_s - now_s)
            self._kernel.at(now_s + patience_s, self._give_up, attempt)
        replica.receive(attempt)

    def answered(self, attempt: Attempt, kind: OutcomeKind) -> None:
        if attempt.abandoned:
            return
        attempt.abandoned = True
        if self._protection is not None:
            self._protection.ended(kind, self._kernel.now_s)
        attempt.lease.end(kind, attempt.replica.report() if self._reports else None)
        if kind is OutcomeKind.OK:
            self._record.end(attempt.request, self._kernel.now_s, served=True)
        else:
            self._again(attempt)

    def _give_up(self, attempt: Attempt) -> None:
        if attempt.abandoned:
            return
        attempt.abandoned = True
        if self._protection is not None:
            self._protection.ended(OutcomeKind.TIMEOUT, self._kernel.now_s)
        attempt.lease.end(OutcomeKind.TIMEOUT)
        self._again(attempt)

    def _again(self, attempt: Attempt) -> None:
        retries, now_s = self._retries, self._kernel.now_s
        request = attempt.request
        if (
            retries is None
            or attempt.number >= retries.attempts
            or now_s >= self._columns.arrivals_s[request] + retries.deadline_s
            or (self._protection is not None and not self._protection.retries(now_s))
        ):
            self._record.end(request, now_s, served=False)
            return
        self._attempt(request, attempt.number + 1, (attempt.lease.endpoint.id,))

    def _probe(self) -> None:
        arrive_s = self._kernel.now_s + PROBE_TIME_S
        for endpoint in self.balancer.due_probes():
            self._kernel.at(arrive_s, self._probed, endpoint.id)

    def _probed(self, replica_id: str) -> None:
        self.balancer.probed(replica_id, self._replicas[replica_id].report())

    def update(self, endpoints: list[Endpoint]) -> None:
        self.balancer.update(endpoints)
