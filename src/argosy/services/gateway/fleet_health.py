"""Health of the fleet: the controller's view, or the gateway's own when the controller does not answer.

For its own view the gateway asks every replica that it knows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from argosy.clients.directory import Directory
from argosy.contracts.errors import ArgosyError
from argosy.contracts.fleet import Endpoint, Health, ReplicaView, ServiceView
from argosy.contracts.request import RequestContext
from argosy.services.gateway.shapes import HealthReport
from argosy.services.gateway.upstream import StatusSource

NOTE = (
    "The controller is not running. Requests are still served; this health is the gateway's own view of the replicas. "
    "Run 'argosy up' to start the controller again."
)


async def report(status: StatusSource, directory: Directory, context: RequestContext) -> HealthReport:
    try:
        fleet = await status.fleet(context.for_hop_with_fallback())
    except ArgosyError:
        return await _seen_from_here(status, directory, context)
    return HealthReport(fleet.status, fleet.services, fleet.controller)


async def _seen_from_here(status: StatusSource, directory: Directory, context: RequestContext) -> HealthReport:
    async def service(name: str) -> ServiceView:
        endpoints = [candidate.endpoint for candidate in directory.balancer(name).candidates]
        return _service(name, await asyncio.gather(*(_replica(status, endpoint, context) for endpoint in endpoints)))

    services = await asyncio.gather(*(service(name) for name in directory.services))
    return HealthReport(_worst_of_fleet(services), list(services), note=NOTE)


async def _replica(status: StatusSource, endpoint: Endpoint, context: RequestContext) -> ReplicaView:
    started_s = time.perf_counter()
    try:
        said = await status.replica(endpoint, context)
    except ArgosyError as error:
        return _view(endpoint, Health.UNHEALTHY, error.message)
    view = _view(endpoint, said.health, said.reason)
    view.pid, view.revision, view.details, view.error_count = said.pid, said.revision, said.details, said.load.errors
    view.response_time_ms = round((time.perf_counter() - started_s) * 1000, 3)
    view.started_at = time.time() - said.uptime_s
    return view


def _view(endpoint: Endpoint, health: Health, reason: str) -> ReplicaView:
    return ReplicaView(
        id=endpoint.id,
        pid=None,
        endpoint=endpoint.url,
        revision="",
        status=health,
        reason=reason,
        response_time_ms=None,
        error_count=0,
        last_check=time.time(),
        details={},
        started_at=None,
        restarts=0,
    )


def _service(name: str, replicas: Sequence[ReplicaView]) -> ServiceView:
    """Return the view of a service: healthy when all replicas are, unhealthy when none serves.

    `desired` is the number of known replicas, since only the controller knows the desired number.
    """
    times = [r.response_time_ms for r in replicas if r.response_time_ms is not None]
    bad = [r for r in replicas if r.status is not Health.HEALTHY]
    serving = [r for r in replicas if r.status is not Health.UNHEALTHY]
    reason = "" if replicas else "no running replica is known"
    return ServiceView(
        name=name,
        status=Health.UNHEALTHY if not serving else Health.DEGRADED if bad else Health.HEALTHY,
        reason=reason or "; ".join(f"{r.id}: {r.reason}" for r in bad),
        desired=len(replicas),
        response_time_ms=max(times, default=None),
        error_count=sum(r.error_count for r in replicas),
        last_check=max((r.last_check for r in replicas if r.last_check is not None), default=None),
        details={},
        replicas=list(replicas),
    )


def _worst_of_fleet(services: Sequence[ServiceView]) -> Health:
    """Return the health of the fleet: degraded while any service serves, because missing services have fallbacks."""
    states = {service.status for service in services}
    if states == {Health.HEALTHY}:
        return Health.HEALTHY
    return Health.UNHEALTHY if states == {Health.UNHEALTHY} else Health.DEGRADED
