"""Observed state of every replica, and the views made of it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from argosy import version
from argosy.config.service import CustomSettings, ServiceSettings
from argosy.contracts.fleet import (
    Calls,
    ControllerView,
    Endpoint,
    FleetView,
    Health,
    ReplicaStatus,
    ReplicaView,
    ServiceView,
)
from argosy.control.events.feed import Feed
from argosy.control.health.failure_reports import Evidence, news, next_round, since
from argosy.control.health.fleet import Verdict, fleet_health, service_alone, with_dependencies
from argosy.control.health.replica import HealthRule, Probe, ReplicaHealth, next_health
from argosy.control.platforms.platform import Replica

DEGRADED_WEIGHT = 0.25
"""Weight of a DEGRADED replica in the endpoint set, relative to a healthy one."""
NEVER_SEEN = ReplicaHealth()


class Observed:
    """Observed state of a fleet. Probes and ends of replicas update it; the admin API and discovery read it."""

    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        waves: Sequence[Sequence[str]],
        started_at: float,
        feed: Feed,
    ) -> None:
        self._services = services
        self._feed = feed
        self._evidence: dict[str, tuple[Evidence, Evidence]] = {}
        """Replica → evidence from its own answers, and from its callers."""
        self._counted: dict[str, Calls] = {}
        self._reports: dict[str, dict[str, Calls]] = {}
        """Caller → its latest report."""
        self._unread: dict[str, tuple[int, int]] = {}
        """Replica → calls and failures that callers reported since the replica's latest probe."""
        self._told: dict[str, Verdict] = {}
        self._order = [name for wave in waves for name in wave]
        self._started_at = started_at
        self._rule = HealthRule()
        self._health: dict[str, ReplicaHealth] = {}
        self._failures: dict[str, dict[str, str]] = {}
        """Service → slot → reason for which no replica runs there, the latest last."""
        self.restarts: dict[str, int] = {}
        self.draining: set[str] = set()
        """Replicas that must get no new requests."""
        self.growing: defaultdict[str, set[str]] = defaultdict(set)
        """Service → slots added by scaling up and not filled yet; health does not count them as missing."""
        self.cold_start_s: dict[str, float] = {}
        """Service → duration of its latest start until ready."""
        self.desired = {name: _desired(settings) for name, settings in services.items()}

    def saw(self, replica_id: str, probe: Probe) -> bool:
        """Record a probe, together with the callers' reports about the replica since its latest probe.

        Returns: whether the replica's ability to serve has changed.
        """
        before = self._health.get(replica_id, ReplicaHealth())
        was_ready = before.last_answer is not None and before.last_answer.ready
        complaint = self._complaint(replica_id, probe.status, was_ready)
        after = next_health(before, replace(probe, complaint=complaint), self._rule)
        self._health[replica_id] = after
        if after.status is not before.status and was_ready:
            self._feed.add("replica", replica_id, before.status, after.status, after.reason)
        is_ready = after.last_answer is not None and after.last_answer.ready
        return (before.status, was_ready, before.bad > 0) != (after.status, is_ready, after.bad > 0)

    def _complaint(self, replica_id: str, said: ReplicaStatus | None, was_ready: bool) -> str:
        """Return the complaint about a replica: its own 5xx answers first, then the failures that callers saw.

        Reports from before the replica was seen ready concern its start or an earlier process, and are ignored.
        """
        called, answered = self._unread.pop(replica_id, (0, 0)), (0, 0)
        if said is not None:
            self._read_report(replica_id, said.calls)
            own = Calls(said.load.requests, said.load.errors)
            answered = since(self._counted.get(replica_id, own), own)
            self._counted[replica_id] = own
        if not was_ready:
            self._evidence.pop(replica_id, None)
            return ""
        answers, calls = self._evidence.get(replica_id, (Evidence(), Evidence()))
        self._evidence[replica_id] = answers, calls = next_round(answers, *answered), next_round(calls, *called)
        put_out = next((f"a caller sends it nothing: it {out}" for out in self._outs(replica_id) if out), "")
        return answers.complaint("it answers:") or calls.complaint("callers see") or put_out

    def _outs(self, replica_id: str) -> Iterator[str]:
        """Return the reason of each caller that ejected the replica."""
        return (report[replica_id].out for report in self._reports.values() if replica_id in report)

    def _read_report(self, caller: str, report: dict[str, Calls]) -> None:
        for replica_id, (ended, failed) in news(self._reports.get(caller, report), report).items():
            if replica_id not in self._health:
                continue  # an id that no probe knows would be kept for ever
            known = self._unread.get(replica_id, (0, 0))
            self._unread[replica_id] = (known[0] + ended, known[1] + failed)
        self._reports[caller] = report

    def lost(self, replica: Replica, reason: str | None) -> None:
        """Record that the replica is gone. `reason` is None when its end was requested."""
        for known in (self._health, self._evidence, self._counted, self._reports, self._unread):
            known.pop(replica.id, None)
        if reason is not None:
            self.failed(replica.service, replica.id, reason)

    def failed(self, service: str, slot: str, reason: str) -> None:
        """Record the reason for which no replica runs in the slot."""
        self.growing[service].discard(slot)
        reasons = self._failures.setdefault(service, {})
        reasons.pop(slot, None)
        reasons[slot] = reason

    def recovered(self, service: str, slot: str) -> None:
        """Forget the failure of a slot that is filled or no longer desired."""
        self.growing[service].discard(slot)
        self._failures.get(service, {}).pop(slot, None)

    def keep_failures(self, service: str, slots: Collection[str]) -> None:
        """Forget failures of slots that the service no longer has, because no replica there will clear them."""
        reasons = self._failures.get(service, {})
        for slot in [slot for slot in reasons if slot not in slots]:
            del reasons[slot]

    def failure(self, service: str, slot: str | None = None) -> str:
        """Return why no replica runs in the slot, or in the slot that failed last; empty when there is no failure."""
        reasons = self._failures.get(service, {})
        return reasons.get(slot, "") if slot is not None else next(reversed(reasons.values()), "")

    def is_served(self, service: str) -> bool:
        """Return whether any replica of the service was ready at its latest answer."""
        return any(
            h.last_answer is not None and h.last_answer.service == service and h.last_answer.ready
            for h in self._health.values()
        )

    def health(self, replica_id: str) -> ReplicaHealth:
        """Return the health of the replica; "starting" when it was never probed."""
        return self._health.get(replica_id, NEVER_SEEN)

    def endpoints(self, replicas: Sequence[Replica]) -> dict[str, list[Endpoint]]:
        """Return the endpoints of each service: its ready replicas that are not draining.

        Replicas that missed their latest probe are left out, unless all did.
        """
        found: dict[str, list[Endpoint]] = {name: [] for name in self._services}
        for name, known in found.items():
            ready = [r for r in replicas if r.service == name and r.id not in self.draining and self.is_ready(r)]
            answering = [r for r in ready if not self.health(r.id).bad]
            known.extend(
                Endpoint(r.id, r.url, self._weight(r), r.proves) for r in answering or ready if r.url is not None
            )
        return found

    def _weight(self, replica: Replica) -> float:
        return DEGRADED_WEIGHT if self.health(replica.id).status is Health.DEGRADED else 1.0

    def is_ready(self, replica: Replica) -> bool:
        """Return whether the replica listens and was ready at its latest answer."""
        answer = self.health(replica.id).last_answer
        return replica.url is not None and answer is not None and answer.ready

    def tell_changes(self, replicas: Sequence[Replica]) -> None:
        """Add each change of the health of a service or the fleet to the feed."""
        verdicts = self._verdicts(self._by_service(replicas))
        unwell = ", ".join(f"{name} {v.status}" for name, v in verdicts.items() if v.status is not Health.HEALTHY)
        for name, verdict in {**verdicts, "fleet": Verdict(fleet_health(verdicts), unwell)}.items():
            before = self._told.get(name)
            if before is not None and before.status is not verdict.status:
                kind = "fleet" if name == "fleet" else "service"
                self._feed.add(kind, name, before.status, verdict.status, verdict.reason)
            self._told[name] = verdict

    def fleet(self, replicas: Sequence[Replica]) -> FleetView:
        """Return the state of the fleet, given its living replicas."""
        by_service = self._by_service(replicas)
        verdicts = self._verdicts(by_service)
        return FleetView(
            controller=ControllerView(os.getpid(), self._started_at, version.VERSION),
            status=fleet_health(verdicts),
            services=[self._service(name, verdicts[name], by_service[name]) for name in self._order],
        )

    def _by_service(self, replicas: Sequence[Replica]) -> dict[str, list[Replica]]:
        by_service: dict[str, list[Replica]] = {name: [] for name in self._order}
        for replica in replicas:
            if replica.service in by_service:
                by_service[replica.service].append(replica)
        return by_service

    def _verdicts(self, by_service: Mapping[str, Sequence[Replica]]) -> dict[str, Verdict]:
        alone = {
            name: service_alone(
                [Verdict(self.health(r.id).status, self.health(r.id).reason) for r in self._staying(by_service[name])],
                self.desired[name] - len(self.growing[name]),
                self.failure(name),
            )
            for name in self._order
        }
        return with_dependencies(
            alone,
            self._order,
            {name: settings.requires for name, settings in self._services.items()},
            {name: settings.wants for name, settings in self._services.items()},
        )

    def _staying(self, replicas: Sequence[Replica]) -> Sequence[Replica]:
        """Return the replicas that are not draining, or all when every replica is draining."""
        return [replica for replica in replicas if replica.id not in self.draining] or replicas

    def _service(self, name: str, verdict: Verdict, replicas: Sequence[Replica]) -> ServiceView:
        views = [self._replica(replica) for replica in replicas]
        times = [view.response_time_ms for view in views if view.response_time_ms is not None]
        checks = [view.last_check for view in views if view.last_check is not None]
        serving = sum(view.status is not Health.UNHEALTHY for view in views)
        return ServiceView(
            name=name,
            status=verdict.status,
            reason=verdict.reason,
            desired=self.desired[name],
            response_time_ms=sum(times) / len(times) if times else None,
            error_count=sum(view.error_count for view in views),
            last_check=max(checks, default=None),
            details={"serving": serving, "balancing": self._services[name].balancing},
            replicas=views,
        )

    def _replica(self, replica: Replica) -> ReplicaView:
        health = self.health(replica.id)
        return ReplicaView(
            id=replica.id,
            pid=replica.pid,
            endpoint=replica.url,
            revision=replica.revision,
            status=health.status,
            reason=health.reason,
            response_time_ms=health.response_time_ms,
            error_count=health.error_count,
            last_check=health.last_check,
            details={**health.details, **({"adopted": True} if replica.adopted else {})},
            started_at=replica.started_at or None,
            restarts=self.restarts.get(replica.id, 0),
        )


def _desired(settings: ServiceSettings) -> int:
    if isinstance(settings, CustomSettings) and settings.external is not None:
        return len(settings.external)
    return settings.replicas.min
