"""Conversion of replica counters and platform measurements into an observation of a service.

Counters become rates between two probes of the same process. A counter that falls, or another pid, means that the
replica restarted: it has no rates until two probes of it are known. A program that does not use the service kit sends
no counters; only its CPU and memory are known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from argosy.contracts.fleet import Load
from argosy.control.observation import Observation

ERRORS_S = 30.0
"""Time constant of the share of failed requests."""
LEAST_ENDED = 20.0


@dataclass(frozen=True, slots=True)
class Meter:
    """Latest reading of one replica, and its rates between the last two probes.

    A meter that holds a reading alone has no rates. Pure: `next` returns the following meter.
    """

    pid: int | None = None
    at_s: float = -math.inf
    """Time of the load report; minus infinity before the first reading."""
    load: Load | None = None
    """None when it is not known."""
    cpu_s: float | None = None
    """CPU time of the replica's process so far."""
    cpu_at_s: float = -math.inf
    memory_bytes: int | None = None

    cpu_cores: float | None = None
    rated: bool = False
    """Whether the rates are known; then the load is known too."""
    arrivals_rps: float = 0.0
    served_rps: float = 0.0
    failed_rps: float = 0.0
    overloaded_rps: float = 0.0
    ended_rps: float = 0.0
    lately_ended: float = 0.0
    """Recently ended requests: sum with exponential decay."""
    lately_failed: float = 0.0

    def next(self, reading: Meter) -> Meter:
        """Return the meter after `reading`, a meter without rates.

        The same load report again keeps the rates. Another process starts without rates.
        """
        if self.pid != reading.pid:
            return reading
        cores = self._cores(reading)
        if reading.load is not None and reading.at_s == self.at_s:
            return replace(
                self,
                load=reading.load,
                cpu_s=reading.cpu_s,
                cpu_at_s=reading.cpu_at_s,
                memory_bytes=reading.memory_bytes,
                cpu_cores=cores,
            )
        return self._rated(reading, cores)

    @property
    def in_flight(self) -> int:
        return self.load.in_flight if self.load is not None else 0

    @property
    def queued(self) -> int:
        return self.load.queued if self.load is not None else 0

    @property
    def response_s(self) -> float:
        """Reported response time of the latest requests; 0 when idle, since the report would otherwise never change."""
        if self.load is None or (self.ended_rps <= 0 and self.load.in_flight == 0):
            return 0.0
        return self.load.latency_ms / 1000

    def is_known(self, now_s: float, stale_s: float) -> bool:
        """Return whether the data is fresh enough for a decision.

        The load must be known, or at least the CPU of a replica that reports no load.
        """
        if now_s - self.at_s > stale_s:
            return False
        return self.rated or (self.load is None and self.cpu_cores is not None)

    def _cores(self, reading: Meter) -> float | None:
        elapsed_s = reading.cpu_at_s - self.cpu_at_s
        if reading.cpu_s is None or self.cpu_s is None or reading.cpu_s < self.cpu_s:
            return None
        return (reading.cpu_s - self.cpu_s) / elapsed_s if elapsed_s > 0 else self.cpu_cores

    def _rated(self, reading: Meter, cores: float | None) -> Meter:
        """Return the reading with the rates since this meter's load report, as far as both reports allow them."""
        elapsed_s, old, new = reading.at_s - self.at_s, self.load, reading.load
        kept = math.exp(-max(0.0, elapsed_s) / ERRORS_S)
        unrated = replace(
            reading,
            cpu_cores=cores,
            lately_ended=self.lately_ended * kept,
            lately_failed=self.lately_failed * kept,
        )
        if old is None or new is None or elapsed_s <= 0:
            return unrated
        ended, rejected = new.requests - old.requests, new.rejected - old.rejected
        failed, overloaded = new.errors - old.errors + rejected, new.overloaded - old.overloaded
        if min(ended, rejected, failed, overloaded, new.in_flight, new.queued) < 0:
            return unrated
        return replace(
            unrated,
            rated=True,
            arrivals_rps=max(0, ended + new.in_flight - old.in_flight) / elapsed_s,
            served_rps=max(0, ended - failed) / elapsed_s,
            failed_rps=failed / elapsed_s,
            overloaded_rps=overloaded / elapsed_s,
            ended_rps=ended / elapsed_s,
            lately_ended=unrated.lately_ended + ended,
            lately_failed=unrated.lately_failed + failed,
        )


def combined(
    meters: list[Meter],
    *,
    replicas: int,
    now_s: float,
    stale_s: float,
    window_s: float,
    cores_per_replica: float,
    memory_limit_bytes: int,
    cold_start_s: float,
) -> Observation:
    """Return the observation of the whole service.

    Args:
        meters: the meters of its ready replicas.
        replicas: desired replicas, running or starting.
    """
    known = [meter for meter in meters if meter.is_known(now_s, stale_s)]
    cores = [meter.cpu_cores / max(cores_per_replica, 1e-9) for meter in known if meter.cpu_cores is not None]
    memory = [meter.memory_bytes / memory_limit_bytes for meter in known if meter.memory_bytes is not None]
    seen = Observation(
        replicas=max(replicas, len(meters)),
        ready=len(meters),
        reporting=len(known),
        age_s=max((now_s - meter.at_s for meter in known), default=0.0),
        window_s=window_s,
        cold_start_s=cold_start_s,
        cpu=_mean(cores, len(known)),
        memory=_mean(memory, len(known)),
    )
    return _with_load(seen, known) if known and all(meter.rated for meter in known) else seen


def recorded(meter: Meter, cores: float, memory_limit_bytes: int) -> dict[str, float]:
    """Return the measurements of one replica by series name. `cores` is the number of cores it may use."""
    found: dict[str, float] = {}
    if meter.cpu_cores is not None:
        found["cpu"] = meter.cpu_cores / max(cores, 1e-9)
    if meter.memory_bytes is not None:
        found["memory"] = meter.memory_bytes / memory_limit_bytes
    if not meter.rated:
        return found
    found["rate"] = meter.arrivals_rps
    found["served"] = meter.served_rps
    found["in_flight"] = float(meter.in_flight)
    found["queued"] = float(meter.queued)
    if meter.response_s > 0:
        found["response"] = meter.response_s
    queue_time_s = _queue_time_s([meter])
    if queue_time_s is not None:
        found["queue_time"] = queue_time_s
    found["errors"] = _failed_share([meter])
    found["overload"] = _overload_share([meter])
    return found


def _with_load(seen: Observation, rated: list[Meter]) -> Observation:
    return replace(
        seen,
        in_flight=float(sum(meter.in_flight for meter in rated)),
        queued=float(sum(meter.queued for meter in rated)),
        queue_time_s=_queue_time_s(rated),
        arrivals=sum(meter.arrivals_rps for meter in rated) * seen.window_s,
        throughput_rps=sum(meter.served_rps for meter in rated),
        response_time_s=_response_s(rated),
        errors=_failed_share(rated),
        overload_errors=_overload_share(rated),
        named=_named(rated),
    )


def _response_s(rated: list[Meter]) -> float:
    """Return the mean response time, weighted by the requests that ended at each replica.

    When none ended, it is the mean over the replicas with requests in flight.
    """
    ended = sum(meter.ended_rps for meter in rated)
    if ended > 0:
        return sum(meter.response_s * meter.ended_rps for meter in rated) / ended
    working = [meter.response_s for meter in rated if meter.in_flight]
    return sum(working) / len(working) if working else 0.0


def _queue_time_s(rated: list[Meter]) -> float | None:
    """Return the mean queue time by Little's law; None when requests wait and none ended."""
    ended, queued = sum(meter.ended_rps for meter in rated), float(sum(meter.queued for meter in rated))
    if ended > 0:
        return queued / ended
    return None if queued else 0.0


def _overload_share(rated: list[Meter]) -> float:
    ended = sum(meter.ended_rps for meter in rated)
    return sum(meter.overloaded_rps for meter in rated) / ended if ended > 0 else 0.0


def _failed_share(rated: list[Meter]) -> float:
    """Return the share of failed requests, of at least LEAST_ENDED.

    One failure in a quiet service must not count as 100 %.
    """
    ended = sum(meter.lately_ended for meter in rated)
    return sum(meter.lately_failed for meter in rated) / max(LEAST_ENDED, ended)


def _named(rated: list[Meter]) -> dict[str, float]:
    """Return the means of the named metrics that every replica reports."""
    reported = [meter.load.named for meter in rated if meter.load is not None]
    names = set.intersection(*map(set, reported))
    return {name: sum(named[name] for named in reported) / len(reported) for name in sorted(names)}


def _mean(values: list[float], wanted: int) -> float | None:
    """Return the mean, or None unless all `wanted` values are known."""
    return sum(values) / len(values) if values and len(values) == wanted else None
