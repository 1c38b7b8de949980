"""Health of one replica, from its probes. Pure: the earlier health and a probe go in, the new health comes out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from argosy.contracts.fleet import Health, ReplicaStatus


@dataclass(frozen=True, slots=True)
class HealthRule:
    """Hysteresis: numbers of bad probes in a row to fall and of good probes in a row to rise."""

    failures: int = 3
    successes: int = 1


@dataclass(frozen=True, slots=True)
class Probe:
    """Result of probing a replica. `status` is None when it did not answer, and `error` says why."""

    at: float
    """Wall time."""
    response_time_ms: float | None = None
    status: ReplicaStatus | None = None
    error: str = ""
    busy: bool = False
    """Whether it did not answer although its CPU time advances: it is saturated, not dead."""
    held_up: str = ""
    """Sentence that names the engine call or disk for which it did not answer; empty otherwise."""
    complaint: str = ""
    """Failures reported by callers or by the replica itself, which no probe shows; empty when there are none."""


@dataclass(frozen=True, slots=True)
class ReplicaHealth:
    """Health of a replica after its latest probe. `bad` and `good` count probes in a row."""

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
    """Return the health after a probe.

    `rule.failures` unanswered probes in a row make a replica UNHEALTHY, and `rule.successes` ready answers end that.
    An unanswered probe of a replica that never answered is no error, because the replica is starting. One missed probe
    of a healthy replica makes it DEGRADED, and so do many missed probes while its CPU is at work or a disk holds it up.
    The health that a replica reports of itself takes effect at once.
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
