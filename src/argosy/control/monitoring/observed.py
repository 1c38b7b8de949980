"""What the controller has seen of every replica, and the views made of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from argosy import version
from argosy.config.models import ServiceSettings
from argosy.contracts.fleet import ControllerView, Endpoint, FleetView, Health, ReplicaView, ServiceView
from argosy.control.health.fleet import Verdict, fleet_health, service_alone, with_dependencies
from argosy.control.health.replica import HealthRule, Probe, ReplicaHealth, next_health
from argosy.control.platforms.platform import Replica


class Observed:
    """Fed by probes and exits; read by the admin API and by discovery."""

    def __init__(self, services: Mapping[str, ServiceSettings], waves: Sequence[Sequence[str]], started_at: float):
        self._services = services
        self._order = [name for wave in waves for name in wave]
        self._started_at = started_at
        self._rule = HealthRule()
        self._health: dict[str, ReplicaHealth] = {}
        self.failures: dict[str, str] = {}
        """Service → why its last replica failed."""
        self.restarts: dict[str, int] = {}
        self.desired = {name: settings.replicas.min for name, settings in services.items()}

    def saw(self, replica_id: str, probe: Probe) -> None:
        self._health[replica_id] = next_health(self._health.get(replica_id, ReplicaHealth()), probe, self._rule)

    def lost(self, replica: Replica, reason: str | None) -> None:
        """The replica is gone; `reason` is None when that was asked for."""
        self._health.pop(replica.id, None)
        if reason is not None:
            self.failures[replica.service] = reason

    def health(self, replica_id: str) -> ReplicaHealth:
        return self._health.get(replica_id, ReplicaHealth())

    def endpoints(self, replicas: Sequence[Replica]) -> dict[str, list[Endpoint]]:
        """Replicas that say they are ready. One that misses probes stays: callers notice by themselves."""
        found: dict[str, list[Endpoint]] = {name: [] for name in self._services}
        for replica in replicas:
            answer = self.health(replica.id).last_answer
            if replica.url is not None and answer is not None and answer.ready:
                found[replica.service].append(Endpoint(replica.id, replica.url))
        return found

    def fleet(self, replicas: Sequence[Replica]) -> FleetView:
        by_service: dict[str, list[Replica]] = {name: [] for name in self._order}
        for replica in replicas:
            by_service[replica.service].append(replica)
        alone = {
            name: service_alone(
                [Verdict(self.health(r.id).status, self.health(r.id).reason) for r in by_service[name]],
                self.desired[name],
                self.failures.get(name, ""),
            )
            for name in self._order
        }
        verdicts = with_dependencies(
            alone,
            self._order,
            {name: settings.requires for name, settings in self._services.items()},
            {name: settings.wants for name, settings in self._services.items()},
        )
        return FleetView(
            controller=ControllerView(os.getpid(), self._started_at, version.VERSION),
            status=fleet_health(verdicts),
            services=[self._service(name, verdicts[name], by_service[name]) for name in self._order],
        )

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
            started_at=replica.started_at,
            restarts=self.restarts.get(replica.id, 0),
        )
