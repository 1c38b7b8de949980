"""Turns what replicas count and what their platform measures into an observation of a service.

Counters become rates between two probes of the same process. A counter that falls, or another pid, is a replica that
began anew: it reports nothing until two probes of it are known. A program that is not built from our kit counts nothing
for us; only its CPU and memory are known.
"""

from __future__ import annotations

from dataclasses import dataclass

from argosy.contracts.fleet import Load
from argosy.control.scaling.observation import Observation


@dataclass(frozen=True, slots=True)
class Sample:
    """One replica as it was last seen. `load` is None where it cannot be known."""

    pid: int | None
    at_s: float
    """When it said so."""
    load: Load | None
    cpu_s: float | None
    """CPU time of its process so far."""
    cpu_at_s: float
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Rates:
    """One replica between its last two probes."""

    at_s: float
    load: Load
    arrivals_rps: float
    served_rps: float
    failed_rps: float
    overloaded_rps: float
    ended_rps: float


@dataclass(frozen=True, slots=True)
class Meter:
    """What is known of one replica. Pure: `next` makes the following one."""

    last: Sample | None = None
    rates: Rates | None = None
    cpu_cores: float | None = None

    def next(self, sample: Sample) -> Meter:
        before = self.last
        if before is None or before.pid != sample.pid:
            return Meter(sample)
        rates = self.rates
        if sample.at_s != before.at_s or sample.load is None:
            rates = _rates(before, sample)
        cores = self.cpu_cores
        elapsed_s = sample.cpu_at_s - before.cpu_at_s
        if sample.cpu_s is None or before.cpu_s is None or sample.cpu_s < before.cpu_s:
            cores = None
        elif elapsed_s > 0:
            cores = (sample.cpu_s - before.cpu_s) / elapsed_s
        return Meter(sample, rates, cores)

    def is_known(self, now_s: float, stale_s: float) -> bool:
        """Whether anything fresh enough to decide on is known: its load, or at least its CPU."""
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
    """The service as a whole.

    Args:
        meters: of its ready replicas.
        replicas: asked for, whether they run or are starting.
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
    return _with_load(seen, rates) if counted else seen


def recorded(meter: Meter, cores: float, memory_limit_bytes: int) -> dict[str, float]:
    """What is known of one replica, by the names of its series. It may use so many `cores`."""
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
    found["queued"] = queued = float(rates.load.queued)
    found["response"] = rates.load.latency_ms / 1000
    ended = rates.ended_rps
    if ended > 0 or not queued:
        found["queue_time"] = queued / ended if ended > 0 else 0.0
    found["errors"] = rates.failed_rps / ended if ended > 0 else 0.0
    found["overload"] = rates.overloaded_rps / ended if ended > 0 else 0.0
    return found


def _with_load(seen: Observation, rates: list[Rates]) -> Observation:
    ended = sum(rate.ended_rps for rate in rates)
    served, queued = sum(rate.served_rps for rate in rates), float(sum(rate.load.queued for rate in rates))
    return Observation(
        replicas=seen.replicas,
        ready=seen.ready,
        reporting=seen.reporting,
        age_s=seen.age_s,
        in_flight=float(sum(rate.load.in_flight for rate in rates)),
        queued=queued,
        queue_time_s=queued / ended if ended > 0 else (0.0 if not queued else None),
        arrivals=sum(rate.arrivals_rps for rate in rates) * seen.window_s,
        window_s=seen.window_s,
        throughput_rps=served,
        response_time_s=sum(rate.load.latency_ms for rate in rates) / len(rates) / 1000,
        cpu=seen.cpu,
        memory=seen.memory,
        errors=sum(rate.failed_rps for rate in rates) / ended if ended > 0 else 0.0,
        overload_errors=sum(rate.overloaded_rps for rate in rates) / ended if ended > 0 else 0.0,
        cold_start_s=seen.cold_start_s,
    )


def _mean(values: list[float], wanted: int) -> float | None:
    """None unless every one of them is known."""
    return sum(values) / len(values) if values and len(values) == wanted else None
