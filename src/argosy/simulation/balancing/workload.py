"""Random inputs of a run, drawn from its seed before the run, so that every strategy gets the same requests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.simulation.balancing.regime import Regime
from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.loads.prefixing import IntArray
from argosy.simulation.servers.speed import Speed


@dataclass(frozen=True, slots=True)
class Workload:
    """Arrays with one entry per request."""

    arrivals_s: FloatArray
    work_s: FloatArray
    callers: IntArray
    """Caller that each request comes from."""
    luck: FloatArray
    """Number in [0, 1): a request fails on a replica whose failure probability exceeds it."""
    prefixes: IntArray
    """Prefix of each request; empty when the regime has no prefixes."""
    speeds: tuple[Speed, ...]
    """Speed of each replica, antagonists included."""

    def columns(self) -> Columns:
        prefixes = self.prefixes.tolist() or [0] * len(self.arrivals_s)
        return Columns(
            self.arrivals_s.tolist(),
            self.work_s.tolist(),
            self.callers.tolist(),
            self.luck.tolist(),
            prefixes,
            [f"prefix-{prefix}" for prefix in prefixes] if len(self.prefixes) else [None] * len(prefixes),
        )


@dataclass(frozen=True, slots=True)
class Columns:
    """The same values as lists of plain numbers, which the event loop reads several times faster than arrays."""

    arrivals_s: list[float]
    work_s: list[float]
    callers: list[int]
    luck: list[float]
    prefixes: list[int]
    keys: list[str | None]


def draw(regime: Regime, seed: int, callers: int) -> Workload:
    """Draw the workload of a seed.

    Each kind of randomness has its own stream, so a change of one leaves the others unchanged.
    """
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(6)]
    arriving, working, calling, lucky, beginning, disturbing = streams
    count = regime.requests
    arrivals_s = regime.arrivals.draw(count, arriving)
    end_s = float(arrivals_s[-1])
    return Workload(
        arrivals_s=arrivals_s,
        work_s=regime.work.draw(count, working),
        callers=calling.integers(callers, size=count),
        luck=lucky.random(count),
        prefixes=np.empty(0, np.int64) if regime.prefixes is None else regime.prefixes.drawn.draw(count, beginning),
        speeds=tuple(
            model.speed if model.antagonist is None else model.antagonist.over(model.speed, end_s, disturbing)
            for model in regime.replicas
        ),
    )
