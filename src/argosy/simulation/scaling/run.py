"""Simulation of one policy with one target on one load."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from argosy.simulation.scaling.autoscaler import Autoscaler, World
from argosy.simulation.scaling.fleet import SimulatedFleet
from argosy.simulation.scaling.queues import queue
from argosy.simulation.scaling.readings import Readings
from argosy.simulation.scaling.responses import quantiles

FIRST_MINUTE_S = 60
FIRST_UTILISATION = 0.7
REVERSAL_S = 300


class RunResult(msgspec.Struct, frozen=True):
    target: float
    violations: float
    """Share of the requests that missed the SLO or never began."""
    replica_hours: float
    requests: int
    events: int
    """Number of changes of the desired replica count."""
    reversals: int
    """Number of changes in the opposite direction within REVERSAL_S of the previous one."""
    p50_ms: float | None = None
    """Response times of the requests that began; None when none did."""
    p99_ms: float | None = None
    p999_ms: float | None = None
    goodput: float | None = None
    """Requests answered within the SLO, per second."""
    failed: float | None = None
    """Requests that have not begun at the end."""


def simulate(world: World, autoscaler: Autoscaler, target: float, first: int | None = None) -> RunResult:
    """Run one policy. `first` replicas are ready at the start; None starts the number that the first minute needs."""
    seconds = world.load.length_s
    line = queue(world.load, world.service)
    fleet = SimulatedFleet(line, world.cold_start_s, first if first is not None else first_replicas(world))
    seen = Readings(line.ledger, world.service.slots, world.min_replicas, world.max_replicas)
    tally = _Tally()
    now, due = 0, autoscaler.interval_s
    while now < seconds:
        following = min(due, seconds)
        ready_s = fleet.next_ready_s()
        if ready_s is not None and ready_s < following:
            following = ready_s
        line.advance(now, following)
        now = following
        fleet.become_ready(now)
        if now < due or now >= seconds:
            continue
        due += autoscaler.interval_s
        seen.now, seen.replicas, seen.ready = now, fleet.replicas, fleet.ready
        wanted = max(world.min_replicas, min(world.max_replicas, autoscaler.wanted(seen)))
        if wanted != fleet.replicas:
            tally.take(wanted - fleet.replicas, now)
            fleet.scale(wanted, now)
    requests = world.load.count
    p50_s, p99_s, p999_s = quantiles(*line.responses_s(), (0.5, 0.99, 0.999)) or (None,) * 3
    late = float(line.ledger.late[seconds]) + line.left()
    return RunResult(
        target=target,
        violations=late / max(1, requests),
        replica_hours=fleet.paid_s(seconds) / 3600,
        requests=requests,
        events=tally.events,
        reversals=tally.reversals,
        p50_ms=_ms(p50_s),
        p99_ms=_ms(p99_s),
        p999_ms=_ms(p999_s),
        goodput=(requests - late) / seconds,
        failed=line.waiting(),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def first_replicas(world: World) -> int:
    busy = float(np.mean(world.load.offered[:FIRST_MINUTE_S]))
    wanted = math.ceil(busy / world.service.slots / FIRST_UTILISATION)
    return max(world.min_replicas, min(world.max_replicas, wanted))


class _Tally:
    def __init__(self) -> None:
        self.events, self.reversals = 0, 0
        self._last: tuple[bool, int] | None = None

    def take(self, change: int, now: int) -> None:
        up = change > 0
        if self._last is not None and self._last[0] != up and now - self._last[1] <= REVERSAL_S:
            self.reversals += 1
        self.events += 1
        self._last = up, now
