"""The health of one replica, from its probes. Pure: what was seen and a probe in, what is seen now out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from argosy.contracts.fleet import Health, ReplicaStatus


@dataclass(frozen=True, slots=True)
class HealthRule:
    """Hysteresis: bad probes in a row to fall, good ones to rise."""

    failures: int = 3
    successes: int = 1


@dataclass(frozen=True, slots=True)
class Probe:
    """One look at a replica. `status` is None when it did not answer; `error` says why."""

    at: float
    """Wall time."""
    response_time_ms: float | None = None
    status: ReplicaStatus | None = None
    error: str = ""
    busy: bool = False
    """It did not answer, but its CPU time advances: saturation is not death."""
    held_up: str = ""
    """It did not answer because an engine call or a disk holds it up: which one, in a sentence."""
    complaint: str = ""
    """What callers or the replica itself report that no probe shows."""


@dataclass(frozen=True, slots=True)
class ReplicaHealth:
    status: Health = Health.UNHEALTHY
    reason: str = "starting"
    response_time_ms: float | None = None
    error_count: int = 0
    last_check: float | None = None
    bad: int = 0
    good: int = 0
    last_answer: ReplicaStatus | None = None
    details: dict[str, str | int | float | bool | None] = field(default_factory=dict)


def next_health(seen: ReplicaHealth, probe: Probe, rule: HealthRule) -> ReplicaHealth:
    """`rule.failures` probes without an answer to fall, `rule.successes` good ones to rise.

    A replica that never answered yet is starting, not failing: that counts as no error. One missed probe of a healthy
    replica makes it DEGRADED, not UNHEALTHY, and so do many of one whose CPU is at work: busy is not dead. What a
    replica says of itself holds at once.
    """
    if probe.status is None:
        bad = seen.bad + 1
        excused = probe.busy or bool(probe.held_up)
        fallen = (bad >= rule.failures and not excused) or seen.status is Health.UNHEALTHY
        count = f"{bad} probe{'s' if bad > 1 else ''}{', its CPU is at work' if probe.busy else ''}"
        return replace(
            seen,
            status=Health.UNHEALTHY if fallen else Health.DEGRADED,
            reason=probe.held_up or f"{probe.error or 'no answer'} ({count})",
            error_count=seen.error_count + (seen.last_answer is not None),
            last_check=probe.at,
            bad=bad,
            good=0,
        )
    said = probe.status
    good = seen.good + 1 if said.ready else 0
    risen = seen.status is not Health.UNHEALTHY or good >= rule.successes
    status = said.health if risen else Health.UNHEALTHY
    reason = said.reason
    if probe.complaint and status is Health.HEALTHY:
        status, reason = Health.DEGRADED, probe.complaint
    return ReplicaHealth(
        status=status,
        reason=reason,
        response_time_ms=probe.response_time_ms,
        error_count=seen.error_count,
        last_check=probe.at,
        bad=0,
        good=good,
        last_answer=said,
        details={**said.details, "in_flight": said.load.in_flight, "queued": said.load.queued},
    )
