"""How much n replicas answer in a second, and what stops them there. Pure.

One replica's saturation is measured. More of them give n / (1 + σ (n − 1) + κ n (n − 1)) times as much (Gunther's
Universal Scalability Law), σ from calibrations at several numbers, but never more than what they share can carry: the
cores of the machine and the other services on the way of a request.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from argosy.contracts.plan import GENERATOR, Calibration, LoadStep
from argosy.control.prediction.capacity import CapacityFit

BUSY_SHARE = 0.85
"""Of what something can do, above which it is what stops the rest."""
OTHERS_SHARE = 0.15
"""Of the cores; where programs that are not the fleet's take more, they are named."""
DEVIATIONS = 2.0
LONG_SHARE = 0.6
"""Of the longest step: shorter ones, in which the rate was only sought, are left aside."""


@dataclass(frozen=True, slots=True)
class Cores:
    """What computes: of the machine, and of one replica of each service."""

    logical: float
    physical: int | None
    of_replica: Mapping[str, float]
    """Cores one replica of each service can use: the threads of its engine, else one, its event loop's."""
    replicas: Mapping[str, int]
    """How many of each service run."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What all replicas together cannot pass, whatever their number."""

    rps: float
    what: str


@dataclass(frozen=True, slots=True)
class Throughput:
    """Requests a second that n replicas answer."""

    replicas: int
    """The fewest that were measured."""
    rps: float
    low_rps: float
    high_rps: float | None
    """None where the test ended before they were saturated."""
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
    """From load tests, at least one of which answered anything."""
    found = {c.steps[0].replicas: _saturation(c) for c in calibrations if any(s.answered for s in c.steps)}
    if not found:
        return None
    fewest, most = min(found), max(rps for rps, _, _ in found.values())
    # Where a larger number was never saturated, what it answered bounds the ceiling and says nothing of contention.
    measured = {n: rps for n, (rps, _, high) in found.items() if high is not None or n == fewest}
    rps, low, high = found[fewest]
    steps = max((c for c in calibrations if c.steps[0].replicas == fewest), key=lambda c: c.at).steps
    hardest = max(steps, key=lambda step: step.throughput_rps)
    ceilings = _ceilings(service, hardest, cores)
    ceiling = min(ceilings, key=lambda c: c.rps, default=None)
    if ceiling is not None and ceiling.rps < most:
        ceiling = replace(ceiling, rps=most)
    bottleneck = f"the replicas of {service} themselves: each does only so much at once, and they do not want for CPU"
    if high is None:
        bottleneck = "not known: they were not saturated"
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
    """From what was observed in daily work; None until that is enough."""
    capacity = fit.capacity(slots)
    if capacity is None:
        return None
    high = None if fit.slots_high is None else fit.slots_high / fit.service_time_low_s
    bottleneck = f"the {capacity.slots:g} requests that a replica of {service} works on at once"
    rps, low = capacity.slots / capacity.service_time_s, fit.slots_low / fit.service_time_high_s
    return Throughput(1, rps, low, high, None, capacity.sigma, capacity.kappa, bottleneck)


def _saturation(calibration: Calibration) -> tuple[float, float, float | None]:
    """Requests a second with their interval; the upper end is None where none of the steps was saturated."""
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
    """σ by which each number's throughput falls behind that of the fewest; the mean where there are several."""
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
    """What was busy in that step besides the service's own replicas, and how much further it would go."""
    found, used = [], sum(step.cpu_s.values()) / step.seconds
    if step.idle_cores is not None and used > 0:
        rps = step.throughput_rps * (1 + max(0.0, step.idle_cores) / used)
        found.append(Ceiling(rps, _cores_in_words(step, cores, used)))
    for name, cpu_s in step.cpu_s.items():
        limit = cores.of_replica.get(name, 1.0) * cores.replicas.get(name, 1)
        if name in (service, GENERATOR) or cpu_s <= 0:
            continue
        taken = cpu_s / step.seconds
        words = f"{name}, which every request passes and which uses {taken:.2f} of the {limit:g} cores it can use"
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
