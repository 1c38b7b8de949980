"""Short bounded load test of one service of a running fleet, through its gateway.

The test sends a few requests one by one, then doubles the rate until the service is saturated, runs a longer step
beyond saturation, and ends with steps at fixed shares of the measured throughput. It stops at the first sign of harm.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from argosy.cli.loadtest.open_loop import Ask, Outcome, one_by_one, open_loop
from argosy.contracts.errors import InvalidRequest, Unavailable
from argosy.contracts.fleet import FleetView, Health
from argosy.contracts.plan import GENERATOR, QUANTILES, Calibration, LoadStep, UsageView
from argosy.contracts.scaling import ScalingView

if TYPE_CHECKING:
    from argosy.cli.client.gateway import Api

ALONE_S, MOST_ALONE = 3.0, 60
SEEKING_S = 2.5
SEEKING_ALONE = 4.0
"""Least length of a seeking step, in times of one request alone: a shorter step would see hardly any answer."""
SEEKING_SHARE = 0.4
"""Share of the time spent on finding the saturation."""
FIRST_LOAD = 0.5
"""Mean number of requests in flight in the first step."""
FULL_SHARE = 0.12
BEYOND = 1.3
LOADS = (0.3, 0.5, 0.7, 0.85)
ANSWERED_SHARE = 0.9
"""Share of the sent requests below which the service counts as saturated."""
LEAST_JUDGED = 20
WORDS = (
    "harbour",
    "anchor",
    "ledger",
    "cargo",
    "captain",
    "rudder",
    "compass",
    "lantern",
    "voyage",
    "merchant",
    "sail",
)


def ask_of(service: str, path: str | None, custom: bool) -> Ask:
    """Return the request that reaches the service through the gateway. Raises: InvalidRequest when there is none."""
    if custom:
        return Ask("GET", f"/services/{service}/{(path or '').lstrip('/')}")
    if path is not None:
        raise InvalidRequest(f"--path is only for services of your own; leave it out for {service}.")
    if service == "embedding":
        return Ask("POST", "/v1/embeddings", lambda number: {"model": "argosy", "input": _text(number, 24)})
    if service == "retrieval":
        return Ask("POST", "/v1/search", lambda number: {"query": _text(number, 6), "top_k": 5})
    if service == "generation":
        return Ask(
            "POST",
            "/v1/chat/completions",
            lambda number: {"model": "argosy", "messages": [{"role": "user", "content": _text(number, 8)}]},
        )
    raise InvalidRequest(
        f"The gateway has no route to {service} alone; calibrate embedding, retrieval, generation or a service of "
        "your own."
    )


def _text(number: int, words: int) -> str:
    """Return a text that no cache has seen."""
    return f"{number:x} " + " ".join(Random(number).choices(WORDS, k=words))


class Harm(Exception):
    """Sign that the test does harm. The test then ends."""


@dataclass
class Calibrator:
    """One load test. `tell` receives a line for each step."""

    admin: Api
    url: str
    service: str
    ask: Ask
    seconds: float
    most_failed: float
    """Largest share of a step's requests that may fail for another reason than lack of capacity."""
    tell: Callable[[str], None] = lambda line: None
    renew: Callable[[], None] = lambda: None
    """Function that extends the override of the number of replicas. Called before each step."""
    steps: list[LoadStep] = field(default_factory=list)
    seed: int = field(default_factory=lambda: time.time_ns() % 2**40)

    def run(self) -> Calibration:
        """Run the load test and return its steps.

        Raises: InvalidRequest when no single request succeeds; Unavailable when no replica is ready.
        """
        began_s = time.monotonic()
        self._replicas = self._ready()
        self._health = self._worst()
        stopped = "it was complete"
        try:
            self._carry_out(began_s)
        except Harm as harm:
            stopped = str(harm)
        return Calibration(f"{self.ask.method} {self.ask.path}", self.steps, stopped)

    def _carry_out(self, began_s: float) -> None:
        alone_s = self._alone()
        rate, saturation = FIRST_LOAD / alone_s, 0.0
        step_s = max(SEEKING_S, SEEKING_ALONE * alone_s)
        while time.monotonic() - began_s < SEEKING_SHARE * self.seconds + ALONE_S:
            step = self._step(rate, step_s)
            saturation = max(saturation, step.throughput_rps)
            if step.saturated:
                break
            rate *= 2
        else:
            self.tell(
                "The service was not saturated in time. Give more --seconds or fewer --replicas for a better result."
            )
        self._sound(saturation, alone_s)
        saturation = self._step(BEYOND * saturation, max(FULL_SHARE * self.seconds, step_s)).throughput_rps
        self._sound(saturation, alone_s)
        for number, load in enumerate(LOADS):
            left_s = self.seconds - (time.monotonic() - began_s)
            self._step(load * saturation, max(step_s, left_s / (len(LOADS) - number)))

    def _sound(self, saturation: float, alone_s: float) -> None:
        if saturation <= 0:
            raise Harm(f"no request was answered within a step; one request takes {alone_s:.1f} s: give more --seconds")

    def _alone(self) -> float:
        found = one_by_one(self.url, self.ask, ALONE_S, MOST_ALONE, self.seed)
        if not found.latencies_ms:
            raise InvalidRequest(
                f"{self.ask.method} {self.ask.path} fails even for single requests ({_said(found)}). "
                "For a service of your own, give a path that it answers to GET with --path."
            )
        return statistics.median(found.latencies_ms) / 1000

    def _step(self, rate: float, seconds: float) -> LoadStep:
        self.seed += 1
        self.renew()
        before, own_s = self._usage(), time.process_time()
        outcome = open_loop(self.url, self.ask, rate, seconds, self.seed)
        own_s = time.process_time() - own_s
        step = measured_step(outcome, self._replicas, rate, before, self._usage(), own_s if self._is_local() else 0.0)
        self.steps.append(step)
        p95 = f"{step.p95_ms[1]:.0f} ms" if step.p95_ms else "none"
        self.tell(
            f"{rate:.1f} requests/s for {seconds:.0f} s: {step.throughput_rps:.1f}/s answered, p95 {p95}"
            f"{', saturated' if step.saturated else ''}"
        )
        ended = outcome.sent
        if ended >= LEAST_JUDGED and step.failed > self.most_failed * ended:
            raise Harm(f"{step.failed} of {ended} requests failed at {rate:.0f}/s")
        if self._ready() != self._replicas:
            self.steps.pop()
            raise Harm("the number of ready replicas changed")
        if self._worst() > self._health:
            raise Harm(f"the fleet's health fell at {rate:.0f}/s")
        return step

    def _usage(self) -> UsageView:
        return self.admin.get("/v1/usage").into(UsageView)

    def _ready(self) -> int:
        path = f"/v1/services/{quote(self.service, safe='')}/scaling"
        ready = self.admin.get(path).into(ScalingView).ready_instances
        if not ready:
            raise Unavailable(f"No replica of {self.service} is ready; see: argosy status")
        return ready

    def _worst(self) -> int:
        """Return the fleet's health as a number: 0 healthy, 1 degraded, 2 worse."""
        status = self.admin.get("/v1/fleet").into(FleetView).status
        return 0 if status is Health.HEALTHY else 1 if status is Health.DEGRADED else 2

    def _is_local(self) -> bool:
        return urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")


def _said(outcome: Outcome) -> str:
    """Return the counted statuses of an outcome, like `3 × 503`."""
    return ", ".join(f"{count} × {status or 'no answer'}" for status, count in sorted(outcome.statuses.items()))


def measured_step(
    outcome: Outcome, replicas: int, rate: float, before: UsageView, after: UsageView, own_s: float
) -> LoadStep:
    """Return the measurements of a step. CPU times are left out if a replica started or ended during the step."""
    values = sorted(outcome.latencies_ms)
    seconds = outcome.seconds
    full = outcome.withheld > 0 or outcome.refused > 0.01 * outcome.sent
    behind = outcome.in_time < ANSWERED_SHARE * outcome.sent and outcome.open_at_end >= LEAST_JUDGED
    cpu_s, idle = {}, None
    if before.pids == after.pids:
        cpu_s = {name: max(0.0, used - before.cpu_s.get(name, 0.0)) for name, used in after.cpu_s.items()}
        cpu_s[GENERATOR] = own_s
        idle = max(0.0, after.cores - (after.busy_s - before.busy_s) / seconds)
    return LoadStep(
        replicas,
        rate,
        seconds,
        outcome.in_time,
        outcome.refused,
        outcome.failed,
        statistics.fmean(values) if values else 0.0,
        [values[min(len(values) - 1, int(q * len(values)))] for q in QUANTILES] if values else [],
        p95_interval(values) if values else None,
        full or behind,
        cpu_s,
        idle,
    )


def p95_interval(ordered: list[float]) -> tuple[float, float, float]:
    """Return lower bound, value and upper bound of the 95th percentile, by the binomial order of the sample."""
    count = len(ordered)
    spread = 1.96 * math.sqrt(count * 0.95 * 0.05)

    def at(place: float) -> float:
        return ordered[min(count - 1, max(0, int(place)))]

    return at(0.95 * count - spread), at(0.95 * count), at(0.95 * count + spread)
