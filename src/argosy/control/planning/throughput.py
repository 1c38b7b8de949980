"""Throughput of n replicas, and its bottleneck. Pure.

The saturation of one replica is measured. n replicas answer n / (1 + σ (n − 1) + κ n (n − 1)) times as much (Gunther's
Universal Scalability Law), with σ from calibrations at several numbers of replicas. They never answer more than shared
resources can carry: the cores of the machine and the other services on the path of a request.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from argosy.contracts.plan import GENERATOR, Calibration, LoadStep
from argosy.control.prediction.capacity import CapacityFit

BUSY_SHARE = 0.85
"""Share of a resource's capacity above which the resource is the bottleneck."""
OTHERS_SHARE = 0.15
"""Share of the cores above which CPU use by programs outside the fleet is mentioned."""
DEVIATIONS = 2.0
LONG_SHARE = 0.6
"""Share of the longest step. Shorter steps, which only searched for the rate, are ignored."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Cores of the machine, and cores that one replica of each service can use."""

    logical: float
    physical: int | None
    of_replica: Mapping[str, float]
    """Cores that one replica of each service can use: the threads of its engine, else one for its event loop."""
    replicas: Mapping[str, int]
    """Number of running replicas of each service."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Limit that all replicas together cannot exceed, whatever their number."""

    rps: float
    what: str


@dataclass(frozen=True, slots=True)
class Throughput:
    """Requests per second that n replicas answer."""

    replicas: int
    """Smallest number of replicas that was measured."""
    rps: float
    low_rps: float
    high_rps: float | None
    """Upper end of the interval; None when the test ended before the replicas were saturated."""
    ceiling: Ceiling | None = None
    sigma: float = 0.0
    kappa: float = 0.0
    bottleneck: str = ""
    measured: Mapping[int, float] | None = None

    def of(self, replicas: int) -> float:
        return self._scaled(self.rps, replicas)

    def interval(self, replicas: int) -> tuple[float, float | None]:
        high = None if self.high_rps is None else self._scaled(self.high_rps, replicas, self.high_rps / self.rps)
        return self._scaled(self.low_rps, replicas, self.low_rps / self.rps), high

    def _scaled(self, rps: float, replicas: int, by: float = 1.0) -> float:
        if self.measured and replicas in self.measured:
            return self.measured[replicas] * by
        scaled = rps * self._effective(replicas) / self._effective(self.replicas)
        return scaled if self.ceiling is None else min(scaled, max(self.ceiling.rps * by, rps))

    def _effective(self, n: int) -> float:
        return n / (1 + self.sigma * (n - 1) + self.kappa * n * (n - 1))


def measured_throughput(service: str, calibrations: Sequence[Calibration], cores: Cores) -> Throughput | None:
    """Derive the throughput from load tests; None when none of them answered a request."""
    found = {c.steps[0].replicas: _saturation(c) for c in calibrations if any(s.answered for s in c.steps)}
    if not found:
        return None
    fewest, most = min(found), max(rps for rps, _, _ in found.values())
    # A larger number that was never saturated bounds the ceiling, but its throughput does not show contention.
    measured = {n: rps for n, (rps, _, high) in found.items() if high is not None or n == fewest}
    rps, low, high = found[fewest]
    steps = max((c for c in calibrations if c.steps[0].replicas == fewest), key=lambda c: c.at).steps
    hardest = max(steps, key=lambda step: step.throughput_rps)
    ceilings = _ceilings(service, hardest, cores)
    ceiling = min(ceilings, key=lambda c: c.rps, default=None)
    if ceiling is not None and ceiling.rps < most:
        ceiling = replace(ceiling, rps=most)
    bottleneck = f"the replicas of {service} themselves: their concurrency is the limit, not the CPU"
    if high is None:
        bottleneck = "not known: the replicas were not saturated"
    elif ceiling is not None and hardest.throughput_rps >= BUSY_SHARE * ceiling.rps:
        bottleneck = ceiling.what
    return Throughput(
        fewest,
        rps,
        low,
        high,
        ceiling,
        sigma=_contention(measured),
        bottleneck=bottleneck,
        measured=measured,
    )


def learnt_throughput(service: str, fit: CapacityFit, slots: float) -> Throughput | None:
    """Derive the throughput from daily work; None until the capacity is learnt."""
    capacity = fit.capacity(slots)
    if capacity is None:
        return None
    high = None if fit.slots_high is None else fit.slots_high / fit.service_time_low_s
    bottleneck = f"the {capacity.slots:g} requests that a replica of {service} works on at once"
    rps, low = capacity.slots / capacity.service_time_s, fit.slots_low / fit.service_time_high_s
    return Throughput(1, rps, low, high, None, capacity.sigma, capacity.kappa, bottleneck)


def _saturation(calibration: Calibration) -> tuple[float, float, float | None]:
    """Return the saturation in requests per second, and its interval; its end is None when no step was saturated."""
    full = [step for step in calibration.steps if step.saturated and step.answered]
    if not full:
        most = max(step.throughput_rps for step in calibration.steps)
        return most, most, None
    most_s = max(step.seconds for step in full)
    longest = [step for step in full if step.seconds >= LONG_SHARE * most_s]
    rates = [step.throughput_rps for step in longest]
    chance = max(DEVIATIONS * math.sqrt(step.answered) / step.seconds for step in longest)
    middle = statistics.median(rates)
    return middle, max(0.0, min(rates) - chance), max(rates) + chance


def _contention(found: Mapping[int, float]) -> float:
    """Return the σ by which each number's throughput falls behind that of the fewest, or the mean σ of several."""
    fewest = min(found)
    sigmas = []
    for n, rps in found.items():
        if n == fewest or rps <= 0:
            continue
        # n/(1+σ(n−1)) ÷ f/(1+σ(f−1)) = r, solved for σ
        gain, f = rps / found[fewest] * fewest / n, fewest
        below = gain * (n - 1) - (f - 1)
        sigmas.append(max(0.0, (1 - gain) / below) if below > 1e-9 else 1.0)
    return statistics.mean(sigmas) if sigmas else 0.0


def _ceilings(service: str, step: LoadStep, cores: Cores) -> list[Ceiling]:
    """Return the ceilings of the shared resources that were busy in that step, extrapolated to full use."""
    found, used = [], sum(step.cpu_s.values()) / step.seconds
    if step.idle_cores is not None and used > 0:
        rps = step.throughput_rps * (1 + max(0.0, step.idle_cores) / used)
        found.append(Ceiling(rps, _cores_in_words(step, cores, used)))
    for name, cpu_s in step.cpu_s.items():
        limit = cores.of_replica.get(name, 1.0) * cores.replicas.get(name, 1)
        if name in (service, GENERATOR) or cpu_s <= 0:
            continue
        taken = cpu_s / step.seconds
        words = (
            f"{name}, which every request passes through and which uses {taken:.2f} of the {limit:g} cores it can use"
        )
        found.append(Ceiling(step.throughput_rps * limit / taken, words))
    return found


def _cores_in_words(step: LoadStep, cores: Cores, used: float) -> str:
    most = sorted(step.cpu_s, key=step.cpu_s.__getitem__, reverse=True)[:3]
    each = ", ".join(f"{name} {1000 * step.cpu_s[name] / max(1, step.answered):.1f}" for name in most)
    kind = f"the {cores.logical:g} cores of the machine"
    if cores.physical and cores.physical != cores.logical:
        kind = f"the {cores.logical:g} hardware threads of the machine's {cores.physical} physical cores"
    others = max(0.0, cores.logical - (step.idle_cores or 0.0) - used)
    taken = f", of which other programs took {others:.1f} meanwhile" if others > OTHERS_SHARE * cores.logical else ""
    request_ms = 1000 * sum(step.cpu_s.values()) / max(1, step.answered)
    return f"{kind}{taken} (a request takes {request_ms:.1f} ms of CPU: {each})"
