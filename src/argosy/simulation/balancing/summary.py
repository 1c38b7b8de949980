"""Summary of one run: a few figures, and whether the fleet kept up with the load."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from argosy.simulation.balancing.record import Record
from argosy.simulation.balancing.regime import Regime

GROWTH = 2.0
BACKLOG_SHARE = 0.002
BACKLOG_MIN = 50
SAMPLES = 200


@dataclass(frozen=True, slots=True)
class Summary:
    figures: dict[str, float]
    """Figures of the run by name.

    `p50_ms`, `p99_ms`, `p999_ms` of the requests served, after the warm-up; `goodput`: requests served per second,
    after the warm-up and until the last arrival; `failed`: requests not served in time, in the whole run; `attempts`
    per request; `slow_share` of the picks, NaN when the regime has no slow replicas; then the regime's own measures.
    """
    stable: bool


def summarize(regime: Regime, record: Record) -> Summary:
    latency_ms = record.latency_s * 1000
    p50, p99, p999 = np.quantile(latency_ms, (0.5, 0.99, 0.999)) if len(latency_ms) else (math.nan,) * 3
    since_s, until_s = float(record.arrivals_s[record.warm.start]), float(record.arrivals_s[-1])
    ended_s = record.ended_s[record.served]
    figures = {
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "p999_ms": float(p999),
        "goodput": float(((ended_s >= since_s) & (ended_s <= until_s)).sum() / (until_s - since_s)),
        "failed": float((~record.served).sum()),
        "attempts": len(record.pick_s) / len(record.arrivals_s),
        "slow_share": record.share(regime.slow, since_s) if regime.slow else math.nan,
    }
    figures |= {measure.name: measure.of(record) for measure in regime.measures}
    return Summary(figures, stable=not grows(record))


def grows(record: Record) -> bool:
    """Return whether the number of requests in the system grew from quarter to quarter and more than doubled.

    The quantiles of such a run depend on its length and not on the strategy, so they must not be compared.
    """
    since_s, until_s = record.arrivals_s[record.warm.start], record.arrivals_s[-1]
    moments_s = np.linspace(since_s, until_s, SAMPLES)
    arrived = np.searchsorted(record.arrivals_s, moments_s, side="right")
    ended = np.searchsorted(np.sort(record.ended_s), moments_s, side="right")
    first, second, third, fourth = (arrived - ended).reshape(4, -1).mean(axis=1)
    backlog = max(BACKLOG_MIN, BACKLOG_SHARE * len(record.arrivals_s))
    return bool(first < second < third < fourth and fourth > GROWTH * first and fourth - first > backlog)
