"""A simulated replica: its server, failures, prefix cache and load reports."""

from __future__ import annotations

import math
from collections import OrderedDict

from argosy.balancing.outcome import LoadReport, OutcomeKind
from argosy.serving.latency_by_load import NearLatency
from argosy.simulation.balancing.attempt import Attempt
from argosy.simulation.balancing.regime import Prefixes, ReplicaModel
from argosy.simulation.servers.kernel import Kernel
from argosy.simulation.servers.speed import Speed

UTILIZATION_WINDOW_S = 1.0
NEAR_KEPT_S = 0.1
REFUSAL_S = 0.001
"""Time that a refusal takes."""
ADMITTED = 64.0
"""Divisor of the requests in flight in the reported utilisation, for a replica without a concurrency limit."""


class SimulatedReplica:
    """Replica that answers every attempt once through `attempt.caller.answered`, including abandoned attempts."""

    __slots__ = (
        "_eps", "_failure", "_kernel", "_known", "_latency", "_near", "_parallel", "_prefixes", "_reports", "_rps",
        "_seen_s", "_server", "_utilization", "in_flight", "index",
    )  # fmt: skip

    def __init__(
        self,
        index: int,
        model: ReplicaModel,
        speed: Speed,
        prefixes: Prefixes | None,
        kernel: Kernel,
        *,
        reports: bool = True,
    ) -> None:
        """Create a replica. Without `reports`, it does not track its load, because no strategy reads its reports."""
        self.index = index
        self._reports = reports
        self.in_flight = 0
        self._kernel = kernel
        self._failure = model.failure
        self._prefixes = prefixes
        self._known: OrderedDict[int, None] = OrderedDict()
        self._server = model.server.build(kernel, speed, self._served)
        self._parallel = model.server.parallel if math.isfinite(model.server.parallel) else ADMITTED
        self._latency = NearLatency()
        self._near: dict[int, tuple[float, float | None]] = {}
        self._utilization = 0.0
        self._rps = 0.0
        self._eps = 0.0
        self._seen_s = 0.0

    def receive(self, attempt: Attempt) -> None:
        self.in_flight += 1
        failure = self._failure
        if failure is not None and attempt.luck < failure.probability:
            now_s = self._kernel.now_s
            if failure.since_s <= now_s < failure.until_s:
                self._kernel.at(now_s + failure.after_s, self._failed, attempt)
                return
        if self._prefixes is not None:
            self._warm(attempt, self._prefixes)
        if not self._server.submit(attempt):
            self._kernel.at(self._kernel.now_s + REFUSAL_S, self._refused, attempt)

    def _warm(self, attempt: Attempt, prefixes: Prefixes) -> None:
        known = self._known
        if attempt.prefix in known:
            known.move_to_end(attempt.prefix)
            attempt.work_s *= prefixes.hit_share
        else:
            known[attempt.prefix] = None
            if len(known) > prefixes.kept:
                known.popitem(last=False)

    def _served(self, attempt: Attempt) -> None:
        self.in_flight -= 1
        if self._reports:
            self._account(attempt)
        attempt.caller.answered(attempt, OutcomeKind.OK)

    def _account(self, attempt: Attempt) -> None:
        now_s = self._kernel.now_s
        self._near.clear()
        self._latency.add(self.in_flight, now_s - attempt.started_s, now_s)
        window = self._pass(now_s)
        self._rps += 1 / UTILIZATION_WINDOW_S
        self._utilization += (1 - window) * (min(1.0, (self._server.busy + 1) / self._parallel) - self._utilization)

    def _pass(self, now_s: float) -> float:
        """Age the rate counts to `now_s` and return the share of the window that remains of earlier counts."""
        window = math.exp((self._seen_s - now_s) / UTILIZATION_WINDOW_S)
        self._rps *= window
        self._eps *= window
        self._seen_s = now_s
        return window

    def _failed(self, attempt: Attempt) -> None:
        self.in_flight -= 1
        if self._reports:
            self._pass(self._kernel.now_s)
            self._rps += 1 / UTILIZATION_WINDOW_S
            self._eps += 1 / UTILIZATION_WINDOW_S
        attempt.caller.answered(attempt, OutcomeKind.ERROR)

    def _refused(self, attempt: Attempt) -> None:
        self.in_flight -= 1
        attempt.caller.answered(attempt, OutcomeKind.OVERLOADED)

    def report(self) -> LoadReport:
        """Return the load report sent with an answer.

        Its latency is that of answers at about the present number in flight.
        """
        latency_s = self._near_s()
        lately = math.exp((self._seen_s - self._kernel.now_s) / UTILIZATION_WINDOW_S)
        return LoadReport(
            rif=self.in_flight,
            latency_ms=None if latency_s is None else latency_s * 1000,
            cpu_utilization=self._utilization,
            application_utilization=self.in_flight / self._parallel,
            queued=self._server.queued,
            rps=self._rps * lately,
            eps=self._eps * lately,
        )

    def _near_s(self) -> float | None:
        """Return `NearLatency.at`, cached for NEAR_KEPT_S or until the next answer.

        The cache helps because probes ask several times between two answers.
        """
        now_s, level = self._kernel.now_s, self.in_flight.bit_length()
        known = self._near.get(level)
        if known is None or now_s - known[0] > NEAR_KEPT_S:
            known = self._near[level] = (now_s, self._latency.at(self.in_flight, now_s))
        return known[1]
