"""Conversion of replica counters and platform measurements into an observation of a service.

Counters become rates between two probes of the same process. A counter that falls, or another pid, means that the
replica restarted: it has no rates until two probes of it are known. A program that does not use the service kit sends
no counters; only its CPU and memory are known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from argosy.contracts.fleet import Load
from argosy.control.observation import Observation

ERRORS_S = 30.0
"""Time constant of the share of failed requests."""
LEAST_ENDED = 20.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Latest sample of one replica. `load` is None when it is not known."""

    pid: int | None
    at_s: float
    """Time of the load report."""
    load: Load | None
    cpu_s: float | None
    """CPU time of the replica's process so far."""
    cpu_at_s: float
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of one replica between its last two probes."""

    at_s: float
    load: Load
    arrivals_rps: float
    served_rps: float
    failed_rps: float
    overloaded_rps: float
    ended_rps: float

    @property
    def response_s(self) -> float:
        """Reported response time of the latest requests; 0 when idle, since the report would otherwise never change."""
        if self.ended_rps <= 0 and self.load.in_flight == 0:
            return 0.0
        return self.load.latency_ms / 1000


@dataclass(frozen=True, slots=True)
class Ended:
    """Recently ended requests, all and failed: sums with exponential decay."""

    count: float = 0.0
    failed: float = 0.0

    def next(self, rates: Rates | None, elapsed_s: float) -> Ended:
        kept = math.exp(-max(0.0, elapsed_s) / ERRORS_S)
        if rates is None:
            return Ended(self.count * kept, self.failed * kept)
        return Ended(self.count * kept + rates.ended_rps * elapsed_s, self.failed * kept + rates.failed_rps * elapsed_s)


@dataclass(frozen=True, slots=True)
class Meter:
    """Measurements of one replica. Pure: `next` returns the following meter."""

    last: Sample | None = None
    rates: Rates | None = None
    cpu_cores: float | None = None
    ended: Ended = Ended()

    def next(self, sample: Sample) -> Meter:
        before = self.last
        if before is None or before.pid != sample.pid:
            return Meter(sample)
        rates, ended = self.rates, self.ended
        if sample.at_s != before.at_s or sample.load is None:
            rates = _rates(before, sample)
            ended = ended.next(rates, sample.at_s - before.at_s)
        cores = self.cpu_cores
        elapsed_s = sample.cpu_at_s - before.cpu_at_s
        if sample.cpu_s is None or before.cpu_s is None or sample.cpu_s < before.cpu_s:
            cores = None
        elif elapsed_s > 0:
            cores = (sample.cpu_s - before.cpu_s) / elapsed_s
        return Meter(sample, rates, cores, ended)

    def is_known(self, now_s: float, stale_s: float) -> bool:
        """Return whether the data is fresh enough for a decision.

        The load must be known, or at least the CPU of a replica that reports no load.
        """
        if self.last is None or now_s - self.last.at_s > stale_s:
            return False
        return self.rates is not None or (self.last.load is None and self.cpu_cores is not None)


def _rates(before: Sample, after: Sample) -> Rates | None:
    elapsed_s, old, new = after.at_s - before.at_s, before.load, after.load
    if old is None or new is None or elapsed_s <= 0:
        return None
    ended, rejected = new.requests - old.requests, new.rejected - old.rejected
    failed, overloaded = new.errors - old.errors + rejected, new.overloaded - old.overloaded
    if min(ended, rejected, failed, overloaded, new.in_flight, new.queued) < 0:
        return None
    return Rates(
        after.at_s,
        new,
        max(0, ended + new.in_flight - old.in_flight) / elapsed_s,
        max(0, ended - failed) / elapsed_s,
        failed / elapsed_s,
        overloaded / elapsed_s,
        ended / elapsed_s,
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
    rates = [meter.rates for meter in known if meter.rates is not None]
    counted = bool(rates) and len(rates) == len(known)
    seen = Observation(
        replicas=max(replicas, len(meters)),
        ready=len(meters),
        reporting=len(known),
        age_s=max((now_s - meter.last.at_s for meter in known if meter.last is not None), default=0.0),
        window_s=window_s,
        cold_start_s=cold_start_s,
        cpu=_mean([m.cpu_cores / max(cores_per_replica, 1e-9) for m in known if m.cpu_cores is not None], len(known)),
        memory=_mean(
            [
                m.last.memory_bytes / memory_limit_bytes
                for m in known
                if m.last is not None and m.last.memory_bytes is not None
            ],
            len(known),
        ),
    )
    return _with_load(seen, rates, [meter.ended for meter in known]) if counted else seen


def recorded(meter: Meter, cores: float, memory_limit_bytes: int) -> dict[str, float]:
    """Return the measurements of one replica by series name. `cores` is the number of cores it may use."""
    found: dict[str, float] = {}
    if meter.cpu_cores is not None:
        found["cpu"] = meter.cpu_cores / max(cores, 1e-9)
    if meter.last is not None and meter.last.memory_bytes is not None:
        found["memory"] = meter.last.memory_bytes / memory_limit_bytes
    rates = meter.rates
    if rates is None:
        return found
    found["rate"] = rates.arrivals_rps
    found["served"] = rates.served_rps
    found["in_flight"] = float(rates.load.in_flight)
    found["queued"] = float(rates.load.queued)
    if rates.response_s > 0:
        found["response"] = rates.response_s
    queue_time_s = _queue_time_s([rates])
    if queue_time_s is not None:
        found["queue_time"] = queue_time_s
    found["errors"] = _failed_share([meter.ended])
    found["overload"] = _overload_share([rates])
    return found


def _with_load(seen: Observation, rates: list[Rates], lately: list[Ended]) -> Observation:
    return Observation(
        replicas=seen.replicas,
        ready=seen.ready,
        reporting=seen.reporting,
        age_s=seen.age_s,
        in_flight=float(sum(rate.load.in_flight for rate in rates)),
        queued=float(sum(rate.load.queued for rate in rates)),
        queue_time_s=_queue_time_s(rates),
        arrivals=sum(rate.arrivals_rps for rate in rates) * seen.window_s,
        window_s=seen.window_s,
        throughput_rps=sum(rate.served_rps for rate in rates),
        response_time_s=_response_s(rates),
        cpu=seen.cpu,
        memory=seen.memory,
        errors=_failed_share(lately),
        overload_errors=_overload_share(rates),
        named=_named(rates),
        cold_start_s=seen.cold_start_s,
    )


def _response_s(rates: list[Rates]) -> float:
    """Return the mean response time, weighted by the requests that ended at each replica.

    When none ended, it is the mean over the replicas with requests in flight.
    """
    ended = sum(rate.ended_rps for rate in rates)
    if ended > 0:
        return sum(rate.response_s * rate.ended_rps for rate in rates) / ended
    working = [rate.response_s for rate in rates if rate.load.in_flight]
    return sum(working) / len(working) if working else 0.0


def _queue_time_s(rates: list[Rates]) -> float | None:
    """Return the mean queue time by Little's law; None when requests wait and none ended."""
    ended, queued = sum(rate.ended_rps for rate in rates), float(sum(rate.load.queued for rate in rates))
    if ended > 0:
        return queued / ended
    return None if queued else 0.0


def _overload_share(rates: list[Rates]) -> float:
    ended = sum(rate.ended_rps for rate in rates)
    return sum(rate.overloaded_rps for rate in rates) / ended if ended > 0 else 0.0


def _failed_share(lately: list[Ended]) -> float:
    """Return the share of failed requests, of at least LEAST_ENDED.

    One failure in a quiet service must not count as 100 %.
    """
    return sum(ended.failed for ended in lately) / max(LEAST_ENDED, sum(ended.count for ended in lately))


def _named(rates: list[Rates]) -> dict[str, float]:
    """Return the means of the named metrics that every replica reports."""
    names = set.intersection(*(set(rate.load.named) for rate in rates))
    return {name: sum(rate.load.named[name] for rate in rates) / len(rates) for name in sorted(names)}


def _mean(values: list[float], wanted: int) -> float | None:
    """Return the mean, or None unless all `wanted` values are known."""
    return sum(values) / len(values) if values and len(values) == wanted else None
