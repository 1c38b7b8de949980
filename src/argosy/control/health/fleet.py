"""Health of services and of the fleet, from the health of replicas and the dependencies of services. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.contracts.fleet import Health
from argosy.control.health.fallbacks import consequence


@dataclass(frozen=True, slots=True)
class Verdict:
    """Health of a replica, a service or the fleet, with the reason when it is not HEALTHY."""

    status: Health
    reason: str = ""


def service_alone(replicas: Sequence[Verdict], desired: int, failure: str = "") -> Verdict:
    """Return the health of a service from its own replicas.

    Args:
        failure: why slots of the service have no replica; empty when that is not known.
    """
    serving = [r for r in replicas if r.status is not Health.UNHEALTHY]
    if not serving:
        reason = failure or next((r.reason for r in replicas if r.reason), "no replica is running")
        return Verdict(Health.UNHEALTHY, reason)
    if len(serving) < desired:
        failure = failure or next((r.reason for r in replicas if r.status is Health.UNHEALTHY), "")
        because = f" ({failure})" if failure else ""
        return Verdict(Health.DEGRADED, f"{len(serving)} of {desired} replicas serve{because}")
    degraded = next((r for r in replicas if r.status is Health.DEGRADED), None)
    return Verdict(Health.DEGRADED, degraded.reason) if degraded else Verdict(Health.HEALTHY)


def with_dependencies(
    alone: Mapping[str, Verdict],
    order: Sequence[str],
    requires: Mapping[str, Sequence[str]],
    wants: Mapping[str, Sequence[str]],
) -> dict[str, Verdict]:
    """Return the health of each service, including causes in its dependencies.

    An UNHEALTHY required service makes its dependants UNHEALTHY, and an UNHEALTHY wanted service makes them DEGRADED.
    The reason names each cause and its effect. A DEGRADED dependency still serves and changes nothing.

    Args:
        alone: health of each service from its own replicas.
        order: services, dependencies before dependants.
        requires: services without which a service cannot serve.
        wants: services without which a service serves in a reduced way.
    """
    seen: dict[str, Verdict] = {}
    for name in order:
        verdict = alone[name]
        for dependency in (*requires[name], *wants[name]):
            cause = seen[dependency]
            if cause.status is Health.HEALTHY or verdict.status is Health.UNHEALTHY:
                continue
            if cause.status is not Health.UNHEALTHY:
                continue
            because = f"{dependency} {cause.status}, {consequence(name, dependency)} ({cause.reason})"
            if dependency in requires[name]:
                verdict = Verdict(Health.UNHEALTHY, because)
            else:
                verdict = Verdict(Health.DEGRADED, f"{verdict.reason}; {because}" if verdict.reason else because)
        seen[name] = verdict
    return seen


def fleet_health(services: Mapping[str, Verdict], entrance: str = "gateway") -> Health:
    """Return UNHEALTHY when the gateway is UNHEALTHY, HEALTHY when every service is HEALTHY, otherwise DEGRADED."""
    if services[entrance].status is Health.UNHEALTHY:
        return Health.UNHEALTHY
    healthy = all(verdict.status is Health.HEALTHY for verdict in services.values())
    return Health.HEALTHY if healthy else Health.DEGRADED
