"""Answer to `argosy plan`: the replicas that keep a response time at a rate, from calibrations or history. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from argosy.contracts.plan import Calibration, PlanPoint, PlanView
from argosy.control.planning.response import Response, learnt_response, measured_response
from argosy.control.planning.throughput import Cores, Throughput, learnt_throughput, measured_throughput
from argosy.control.prediction.capacity import CapacityFit

MOST = 64
"""Largest number of replicas that is tried."""
SHOWN_BEYOND = 1
USELESS_GAIN = 0.1
"""Share of a replica's throughput below which another replica is not worthwhile."""
NOT_DOUBLED = 0.85


@dataclass(frozen=True, slots=True)
class PlannedService:
    """Data about a service that planning uses."""

    service: str
    running: int
    min_instances: int
    max_instances: int
    slots: float
    fit: CapacityFit
    calibrations: Sequence[Calibration]
    cores: Cores
    askable: bool = True
    """Whether a load test can reach the service."""
    fixed: str = ""
    """Reason why the number of replicas cannot change; empty when it can."""


def planned(known: PlannedService, rps: float, p95_ms: float | None, wall_s: float) -> PlanView:
    view = PlanView(known.service, "", rps, p95_ms)
    view.running, view.min_instances, view.max_instances = known.running, known.min_instances, known.max_instances
    found = _by_calibration(known, wall_s) or _by_history(known)
    if found is None:
        remedy = f"it was never calibrated; run: argosy plan --calibrate --service {known.service}"
        if not known.askable:
            remedy = "it cannot be loaded by itself; plan the service that sends its requests"
        view.state = f"{known.fit.why_not}, and {remedy}"
        return view
    throughput, response, view.learnt_from = found
    limit_s = 2 * response.p95_s_alone if p95_ms is None else p95_ms / 1000
    view.p95_ms = 1000 * limit_s
    # Above the number of replicas with the highest total throughput, contention costs more than a replica adds.
    most = 1 if known.fixed else max(range(1, MOST + 1), key=throughput.of)
    view.replicas = _fewest(response, rps, limit_s, most)
    view.replicas_interval = _interval(response, rps, limit_s, most)
    last = min(1 if known.fixed else MOST, max(view.replicas or 0, known.running, 1) + SHOWN_BEYOND)
    first = max(1, last - 7)
    view.points = [_point(response, n, rps) for n in range(first, last + 1)]
    view.bottleneck = throughput.bottleneck
    view.notes = list(_notes(known, throughput, response, view))
    return view


def _by_calibration(known: PlannedService, wall_s: float) -> tuple[Throughput, Response, str] | None:
    throughput = measured_throughput(known.service, known.calibrations, known.cores)
    if throughput is None:
        return None
    steps = [step for c in known.calibrations for step in c.steps if step.replicas == throughput.replicas]
    response = measured_response(steps, throughput)
    if response is None:
        return None
    latest = max(known.calibrations, key=lambda c: c.at)
    answered, numbers = sum(s.answered for s in steps), sorted({c.steps[0].replicas for c in known.calibrations})
    return (
        throughput,
        response,
        f"a calibration {(wall_s - latest.at) / 3600:.1f} h ago: {answered} answers of {latest.asked} at "
        f"{' and '.join(map(str, numbers))} running, {len(steps)} steps, ended because {latest.stopped}",
    )


def _by_history(known: PlannedService) -> tuple[Throughput, Response, str] | None:
    throughput = learnt_throughput(known.service, known.fit, known.slots)
    if throughput is None:
        return None
    response = learnt_response(known.fit.service_time_s, known.fit.variability, throughput)
    return throughput, response, f"daily work: {known.fit.samples} samples of 15 s, R² {known.fit.r2:.2f}"


def _fewest(response: Response, rps: float, limit_s: float, most: int) -> int | None:
    return _first(lambda n: response.p95_s(rps, n), limit_s, most)


def _interval(response: Response, rps: float, limit_s: float, most: int) -> tuple[int, int | None] | None:
    low = _first(lambda n: _end(response.interval_s(rps, n), 0), limit_s, most)
    return None if low is None else (low, _first(lambda n: _end(response.interval_s(rps, n), 1), limit_s, most))


def _end(interval: tuple[float, float | None] | None, end: int) -> float | None:
    return None if interval is None else interval[end]


def _first(p95_s: Callable[[int], float | None], limit_s: float, most: int) -> int | None:
    """Return the fewest replicas that keep the limit, by bisection: up to `most`, more replicas are never slower."""

    def keeps(n: int) -> bool:
        value = p95_s(n)
        return value is not None and value <= limit_s

    if not keeps(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return high


def _point(response: Response, replicas: int, rps: float) -> PlanPoint:
    saturation = response.throughput.of(replicas)
    p95_s, interval = response.p95_s(rps, replicas), response.interval_s(rps, replicas)
    return PlanPoint(
        replicas,
        saturation,
        response.throughput.interval(replicas),
        None if p95_s is None else 1000 * p95_s,
        None if interval is None else (1000 * interval[0], None if interval[1] is None else 1000 * interval[1]),
        1 - rps / saturation if saturation > 0 else -1.0,
    )


def _notes(known: PlannedService, throughput: Throughput, response: Response, view: PlanView) -> list[str]:
    notes = []
    one, two = throughput.of(throughput.replicas), throughput.of(2 * throughput.replicas)
    if two < 2 * NOT_DOUBLED * one and not known.fixed:
        notes.append(
            f"{2 * throughput.replicas} replicas do {two / one:.2f} times what {throughput.replicas} "
            f"{'does' if throughput.replicas == 1 else 'do'}, not 2 times: {_why_not_double(known, throughput)}."
        )
    if view.replicas is None:
        alone_ms = 1000 * response.p95_s_alone
        if view.p95_ms is not None and alone_ms > view.p95_ms:
            notes.append(f"No number of replicas keeps the limit: a single request takes {alone_ms:.0f} ms (p95).")
        elif throughput.high_rps is None:
            notes.append(
                "It is not known whether any number of replicas keeps the limit, because the load test never saturated "
                "them; calibrate with more --seconds, or with fewer --replicas."
            )
        else:
            most = f"any number answers at most {throughput.of(MOST):.0f} requests/s"
            notes.append(f"No number of replicas keeps the limit: {most}; the bottleneck is {throughput.bottleneck}.")
    elif view.replicas > known.max_instances:
        notes.append(f"replicas.max = {known.max_instances} does not allow that; raise it to {view.replicas}.")
    if throughput.high_rps is None:
        notes.append("The load test ended before saturation; the true saturation is at least the value shown.")
    if known.fixed:
        notes.append(f"The number of replicas cannot change: {known.fixed}.")
    return notes


def _why_not_double(known: PlannedService, throughput: Throughput) -> str:
    why = f"σ = {throughput.sigma:.2f} was learnt from work at {known.fit.replicas_seen} numbers of replicas"
    if 2 * throughput.replicas in (throughput.measured or {}):
        why = f"both were measured (σ = {throughput.sigma:.2f} of the Universal Scalability Law)"
    if throughput.ceiling is None:
        return why
    shared = f"they share {throughput.ceiling.what}"
    if 2 * throughput.replicas in (throughput.measured or {}):
        shared = f"{why}; {shared}"
    threads = known.cores.of_replica.get(known.service)
    if threads is None:
        return shared
    return f"{shared}, and one replica computes on {threads:g} of {known.cores.logical:g} cores by itself"
