"""Result of a sweep: the points of each policy, and the comparison at equal cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from argosy.simulation.bootstrap import Interval, mean_interval
from argosy.simulation.scaling.contenders import CONTENDERS
from argosy.simulation.scaling.envelope import Envelope, events_ratio, fewer, geometric_mean
from argosy.simulation.scaling.run import RunResult

Runs: TypeAlias = Sequence[Sequence[RunResult]]
"""Outcomes of all targets, for each seed."""
LATE = 0.01
OURS, BOUND, STATIC = "predictive", "oracle", "static"


class PolicyRow(msgspec.Struct):
    """Means over the seeds for one policy with one target. None where the runs do not have the figure."""

    policy: str
    target: float
    slo_violations: float
    """Share of the requests that missed the SLO or never began."""
    replica_hours: float
    scaling_events: float
    reversals: float
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    goodput: float | None
    failed: float | None
    ci95: dict[str, Interval]


class PolicySummary(msgspec.Struct):
    """Summary of one policy over all its targets."""

    policy: str
    about: str
    target: str
    """Description of the policy's target."""
    hours: float | None
    """Least replica-hours with at most LATE late, interpolated between points; None when no point is that good."""
    regret: float | None
    """Replica-hours divided by those of the oracle, minus one."""
    events: float | None
    """Our scaling events divided by this policy's, at equal cost."""


class ScalingComparison(msgspec.Struct):
    load: str
    service: str
    cold_start_s: float
    max_replicas: int
    seeds: int
    requests: int
    rows: list[PolicyRow]
    policies: list[PolicySummary]
    versus: dict[str, float | None]
    """Ratio of violations at equal cost, theirs ÷ ours, by policy; None when the curves cannot be compared."""
    ours: str
    """Name of the policy that the others are compared with."""
    static_wins: bool
    """Whether a fixed number of replicas beats our policy at equal cost."""
    static_enough: int | None
    """Least fixed number of replicas with at most LATE late."""
    trace: str | None = None
    """Name of the trace file, when the load is from a trace."""

    @property
    def is_sweep(self) -> bool:
        return len(self.rows) > len(self.policies)

    def points(self, policy: str) -> list[PolicyRow]:
        return [row for row in self.rows if row.policy == policy]


def compare(
    runs: Mapping[str, Runs], *, load: str, service: str, cold_start_s: float, max_replicas: int
) -> ScalingComparison:
    """Compare the policies with `predictive`, or with the first policy when `predictive` was not run."""
    ours = OURS if OURS in runs else next(iter(runs))
    ratios = {name: _plain(versus(runs[ours], theirs)) for name, theirs in runs.items() if name != ours}
    static, rows = ratios.get(STATIC), [row for name, theirs in runs.items() for row in rows_of(name, theirs)]
    enough = [round(row.target) for row in rows if row.policy == STATIC and row.slo_violations <= LATE]
    return ScalingComparison(
        load=load,
        service=service,
        cold_start_s=cold_start_s,
        max_replicas=max_replicas,
        seeds=len(runs[ours]),
        requests=runs[ours][0][0].requests,
        rows=rows,
        policies=[_summary(name, runs, ours) for name in runs],
        versus=ratios,
        ours=ours,
        static_wins=static is not None and static < 1,
        static_enough=min(enough, default=None),
    )


def versus(ours: Runs, theirs: Runs) -> float:
    """Return how many times fewer violations ours has at equal cost.

    The result is the geometric mean over the seeds; each seed has its own curves.
    """
    pairs = zip(ours, theirs, strict=False)
    return geometric_mean([fewer(Envelope(mine), Envelope(other)) for mine, other in pairs])


def events_versus(ours: Runs, theirs: Runs) -> float:
    pairs = zip(ours, theirs, strict=False)
    return geometric_mean([events_ratio(Envelope(mine), Envelope(other)) for mine, other in pairs])


def rows_of(policy: str, runs: Runs) -> list[PolicyRow]:
    """Return a row per target: the mean over the seeds that have it.

    Seeds can have different targets, because the fixed numbers that are tried depend on the drawn load.
    """
    found = []
    for target in dict.fromkeys(outcome.target for outcomes in runs for outcome in outcomes):
        same = [outcome for outcomes in runs for outcome in outcomes if outcome.target == target]
        figures: dict[str, list[float]] = {
            "slo_violations": [o.violations for o in same],
            "replica_hours": [o.replica_hours for o in same],
            "scaling_events": [float(o.events) for o in same],
            "reversals": [float(o.reversals) for o in same],
        }
        for name in ("p50_ms", "p99_ms", "p999_ms", "goodput", "failed"):
            values = [getattr(o, name) for o in same]
            if None not in values:
                figures[name] = values
        means = {name: sum(values) / len(values) for name, values in figures.items()}
        found.append(
            PolicyRow(
                policy,
                target,
                means["slo_violations"],
                means["replica_hours"],
                means["scaling_events"],
                means["reversals"],
                means.get("p50_ms"),
                means.get("p99_ms"),
                means.get("p999_ms"),
                means.get("goodput"),
                means.get("failed"),
                {name: mean_interval(values) for name, values in figures.items() if len(values) > 1},
            )
        )
    return found


def _summary(name: str, runs: Mapping[str, Runs], ours: str) -> PolicySummary:
    hours = _hours(runs[name])
    least = _hours(runs[BOUND]) if BOUND in runs else math.nan
    counted = name != ours and CONTENDERS[name].counted
    return PolicySummary(
        policy=name,
        about=CONTENDERS[name].about,
        target=CONTENDERS[name].target,
        hours=_plain(hours),
        regret=_plain(hours / least - 1) if name != BOUND else None,
        events=_plain(events_versus(runs[ours], runs[name])) if counted else None,
    )


def _hours(runs: Runs) -> float:
    return geometric_mean([Envelope(outcomes).hours_for(LATE) for outcomes in runs])


def _plain(value: float) -> float | None:
    """Return None for NaN and infinity, which JSON cannot express."""
    return value if math.isfinite(value) else None
