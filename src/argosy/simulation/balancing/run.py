"""Simulation run: takes a regime, a strategy, a seed and a number of callers, and returns a `Record`."""

from __future__ import annotations

import gc
import logging
import math
import random
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import numpy as np

from argosy.balancing.balancer import Balancer
from argosy.balancing.eligibility import EligibilityRule
from argosy.contracts.fleet import Endpoint
from argosy.simulation.balancing.caller import Caller
from argosy.simulation.balancing.protection import Protection
from argosy.simulation.balancing.record import Record, Recorder
from argosy.simulation.balancing.regime import Regime
from argosy.simulation.balancing.replica import SimulatedReplica
from argosy.simulation.balancing.subject import PROBES_ALONE, WITHOUT_REPORTS, Subject
from argosy.simulation.balancing.workload import draw
from argosy.simulation.servers.kernel import Kernel


def run(
    regime: Regime,
    subject: Subject,
    seed: int,
    callers: int = 1,
    without_reports: Collection[str] = WITHOUT_REPORTS,
) -> Record:
    """Run one simulation. Strategies in `without_reports` get no load reports, which saves time.

    All randomness except the strategy's own is drawn from the seed and is the same for every strategy.
    """
    workload = draw(regime, seed, callers)
    kernel = Kernel()
    recorder = Recorder(regime.requests)
    reports = subject.strategy not in without_reports
    models = [model if subject.guarded else model.unprotected() for model in regime.replicas]
    replicas = {
        _name(i): SimulatedReplica(i, model, speed, regime.prefixes, kernel, reports=reports)
        for i, (model, speed) in enumerate(zip(models, workload.speeds, strict=True))
    }
    columns = workload.columns()
    fleet = []
    protected = subject.guarded and regime.retries is not None
    for number in range(callers):
        balancer = Balancer(
            "simulated",
            subject.strategy,
            clock=kernel.clock,
            rng=random.Random(f"{seed}/{number}"),
            rule=EligibilityRule() if subject.guarded else None,
        )
        fleet.append(
            Caller(
                kernel,
                balancer,
                replicas,
                columns,
                regime.retries,
                recorder,
                reports=reports and subject.strategy not in PROBES_ALONE,
                protection=Protection() if protected else None,
            )
        )
    _Discovery(kernel, fleet, regime).start()
    _Arrivals(kernel, fleet, columns.arrivals_s, columns.callers).start()
    with _undisturbed():
        kernel.run()
    return Record(
        arrivals_s=workload.arrivals_s,
        ended_s=np.frombuffer(recorder.ended_s),
        served=np.frombuffer(recorder.served, np.bool_),
        pick_s=np.frombuffer(recorder.pick_s),
        pick_replica=np.frombuffer(recorder.pick_replica, np.int32),
        replicas=len(replicas),
    )


class _Arrivals:
    """Source of arrivals. It schedules one arrival at a time, so that the event heap holds only what is in progress."""

    def __init__(self, kernel: Kernel, callers: list[Caller], arrivals_s: list[float], whose: list[int]) -> None:
        self._kernel = kernel
        self._callers = callers
        self._arrivals_s = arrivals_s
        self._whose = whose

    def start(self) -> None:
        self._kernel.at(self._arrivals_s[0], self._arrive, 0)

    def _arrive(self, request: int) -> None:
        following = request + 1
        if following < len(self._arrivals_s):
            self._kernel.at(self._arrivals_s[following], self._arrive, following)
        self._callers[self._whose[request]].send(request)


class _Discovery:
    """Service discovery that gives every caller the current endpoints at the start and after each change."""

    def __init__(self, kernel: Kernel, callers: list[Caller], regime: Regime) -> None:
        self._kernel = kernel
        self._callers = callers
        self._models = regime.replicas

    def start(self) -> None:
        self._publish()
        moments = {s for model in self._models for s in (model.joins_s, model.drains_s) if 0 < s < math.inf}
        for moment_s in sorted(moments):
            self._kernel.at(moment_s, self._publish)

    def _publish(self, _: object = None) -> None:
        now_s = self._kernel.now_s
        endpoints = [
            Endpoint(_name(i), f"http://{_name(i)}")
            for i, model in enumerate(self._models)
            if model.joins_s <= now_s < model.drains_s
        ]
        for caller in self._callers:
            caller.update(endpoints)


def _name(index: int) -> str:
    return f"replica-{index}"


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Pause the garbage collector, which would walk every pending event, and silence the balancers' log lines."""
    collecting, log = gc.isenabled(), logging.getLogger("argosy.balancer")
    level = log.level
    gc.disable()
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
        if collecting:
            gc.enable()
