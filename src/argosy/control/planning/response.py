"""Model of the response time within which 95 % of requests are answered, at any rate and number of replicas. Pure.

A response is the measured time that a request takes alone, plus a wait: M/M/m by Erlang C, its tail stretched by (Ca² +
Cs²) ÷ 2 (Allen and Cunneen), with the number of servers that the saturation implies. The deviation of the measured
steps from the model is interpolated to the rates between them. It counts less the fewer answers a step had, because a
95th percentile of few answers is mostly chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from argosy.contracts.plan import QUANTILES, LoadStep
from argosy.control.planning.throughput import LONG_SHARE, Throughput

P95 = 0.95
VARIABILITIES = np.geomspace(0.02, 20, 31)
LIGHT = 0.4
"""Share of the saturation below which a request is assumed to be alone."""
FULLEST = 0.97
MODEL_ERROR = 0.15
"""Assumed error of the model, as a share of the modelled percentile."""
CLUSTERED = 2.0
"""Factor on the deviation of independent answers, because requests that wait in one queue are late together."""
BISECTIONS = 22
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Response:
    alone_s: Floats
    """Sample of the time that a request takes alone."""
    throughput: Throughput
    variability: float = 1.0
    known: tuple[tuple[float, float, float, float], ...] = ()
    """Rows of (share of the saturation, measured ÷ modelled, its low end, its high end), sorted by share."""

    @property
    def p95_s_alone(self) -> float:
        return float(np.quantile(self.alone_s, P95))

    def p95_s(self, rate: float, replicas: int) -> float | None:
        """Return the 95th percentile in seconds; None when so many replicas cannot answer that rate."""
        return self._at(rate, replicas, self.throughput.of(replicas), 1)

    def interval_s(self, rate: float, replicas: int) -> tuple[float, float | None] | None:
        low_rps, high_rps = self.throughput.interval(replicas)
        least = self._at(rate, replicas, self.throughput.of(replicas) if high_rps is None else high_rps, 2)
        return None if least is None else (least, self._at(rate, replicas, low_rps, 3))

    def _at(self, rate: float, replicas: int, saturation_rps: float, column: int) -> float | None:
        share = rate / saturation_rps if saturation_rps > 0 else math.inf
        if share >= 1:
            return None
        modelled = _quantile(self.alone_s, rate, saturation_rps, self.variability)
        if not self.known:
            return modelled
        shares = [row[0] for row in self.known]
        return modelled * float(np.interp(share, shares, [row[column] for row in self.known]))


def measured_response(steps: Sequence[LoadStep], throughput: Throughput) -> Response | None:
    """Build the model from the steps of one load test; None when too little was answered below saturation."""
    sound = [s for s in steps if s.p95_ms is not None and not s.saturated and len(s.latency_ms) == len(QUANTILES)]
    sound = [s for s in sound if s.rate_rps < FULLEST * throughput.of(s.replicas)]
    if not sound:
        return None
    most_s = max(s.seconds for s in sound)
    sound = [s for s in sound if s.seconds >= LONG_SHARE * most_s]
    light = [s for s in sound if s.rate_rps <= LIGHT * throughput.of(s.replicas)] or [sound[0]]
    best = max(light, key=lambda s: s.answered)
    alone_s = _sample(best.latency_ms)
    heavy = [s for s in sound if s.rate_rps > LIGHT * throughput.of(s.replicas)]

    variability = 1.0
    if heavy:
        missed = np.zeros(len(VARIABILITIES))
        for s in heavy:
            modelled_s = _quantiles(alone_s, s.rate_rps, throughput.of(s.replicas), VARIABILITIES)
            missed += np.log(modelled_s / (s.p95_ms[1] / 1000 if s.p95_ms else 1.0)) ** 2 * _trust(s)
        variability = float(VARIABILITIES[np.argmin(missed)])
    known = sorted(_known(s, _modelled(alone_s, s, throughput, variability), throughput) for s in (*heavy, best))
    return Response(alone_s, throughput, variability, tuple(known))


def _known(step: LoadStep, modelled_s: float, throughput: Throughput) -> tuple[float, float, float, float]:
    """Return a row of `Response.known`.

    The measured percentile is drawn towards the modelled one as far as it may be chance.
    """
    assert step.p95_ms is not None
    low, middle, high = (ms / 1000 / modelled_s for ms in step.p95_ms)
    drawn = middle ** _trust(step)
    return step.rate_rps / throughput.of(step.replicas), drawn, min(low, drawn), max(high, drawn)


def _trust(step: LoadStep) -> float:
    """Return the weight of a step's own percentile against the model's, 0 to 1, by the inverse of their variances."""
    assert step.p95_ms is not None
    low, _, high = step.p95_ms
    deviation = CLUSTERED * math.log(high / low) / (2 * 1.96)
    return MODEL_ERROR**2 / (MODEL_ERROR**2 + deviation**2)


def learnt_response(service_time_s: float, variability: float, throughput: Throughput) -> Response:
    """Build the model from daily work, where only means are known. The time alone is assumed to be lognormal."""
    sigma = math.sqrt(math.log1p(max(0.0, 2 * variability - 1)))
    normal = np.array([-2.054, -1.282, -0.842, -0.524, -0.253, 0.0, 0.253, 0.524, 0.842, 1.282, 1.645, 2.326])
    quantiles = service_time_s * np.exp(sigma * normal - sigma**2 / 2)
    return Response(_sample([1000 * float(q) for q in quantiles]), throughput, max(variability, 0.02))


def _modelled(alone_s: Floats, step: LoadStep, throughput: Throughput, variability: float) -> float:
    return _quantile(alone_s, step.rate_rps, throughput.of(step.replicas), variability)


def _sample(quantiles_ms: Sequence[float]) -> Floats:
    """Return a hundred values of that distribution."""
    at = (np.arange(100) + 0.5) / 100
    values: Floats = np.interp(at, QUANTILES, np.array(quantiles_ms) / 1000)
    return values


def _quantile(alone_s: Floats, rate: float, saturation_rps: float, variability: float) -> float:
    return float(_quantiles(alone_s, rate, saturation_rps, np.array([variability]))[0])


def _quantiles(alone_s: Floats, rate: float, saturation_rps: float, variabilities: Floats) -> Floats:
    """Return the 95 % quantile of alone + wait for each variability.

    It is found by bisection on the exact distribution of their sum.
    """
    mean_s = float(alone_s.mean())
    servers = max(1.0, saturation_rps * mean_s)
    load = min(rate / saturation_rps, FULLEST) * servers
    waits, pace = _waiting(load, servers), (servers - load) / (mean_s * variabilities)
    low: Floats = np.zeros(len(pace))
    high: Floats = alone_s.max() + 10 / pace
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        left_s = middle[:, None] - alone_s
        late = np.where(left_s < 0, 1.0, waits * np.exp(-pace[:, None] * np.maximum(left_s, 0))).mean(1)
        low, high = np.where(late > 1 - P95, middle, low), np.where(late > 1 - P95, high, middle)
    return high


def _waiting(load: float, servers: float) -> float:
    """Return the probability of waiting by Erlang C, interpolated in its logarithm between whole numbers of servers."""
    below = math.floor(servers)
    below_log = 0.0 if load >= below else math.log(max(_erlang_c(load, below), 1e-300))
    above_log = math.log(max(_erlang_c(load, below + 1), 1e-300))
    return math.exp(below_log + (servers - below) * (above_log - below_log))


def _erlang_c(load: float, servers: int) -> float:
    blocking = 1.0
    for n in range(1, servers + 1):
        blocking = load * blocking / (n + load * blocking)
    return servers * blocking / (servers - load * (1 - blocking))
