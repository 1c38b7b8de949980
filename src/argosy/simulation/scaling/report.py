"""What a sweep comes to: points of each policy, and how they compare at equal cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from argosy.simulation.bootstrap import Interval, mean_interval
from argosy.simulation.scaling.contenders import CONTENDERS
from argosy.simulation.scaling.envelope import Envelope, events_ratio, fewer, geometric_mean
from argosy.simulation.scaling.run import Outcome

Runs: TypeAlias = Sequence[Sequence[Outcome]]
"""For each seed the outcomes of all targets."""
LATE = 0.01
OURS, BOUND, STATIC = "predictive", "oracle", "static"


class Row(msgspec.Struct):
    """One policy with one target: means over the seeds. None where the runs do not tell it."""

    policy: str
    target: float
    slo_violations: float
    """Share of the requests that broke the promise, or never began."""
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
    """One policy with all its targets."""

    policy: str
    about: str
    target: str
    """What its target is."""
    hours: float | None
    """Least replica-hours with at most LATE late, between the points; None where no point comes that low."""
    regret: float | None
    """These over the oracle's, less one."""
    events: float | None
    """Scaling events of ours over this one's, at equal cost."""


class ScalingComparison(msgspec.Struct):
    load: str
    service: str
    cold_start_s: float
    max_replicas: int
    seeds: int
    requests: int
    rows: list[Row]
    policies: list[PolicySummary]
    versus: dict[str, float | None]
    """By policy: how many times fewer violations ours has at equal cost; None where it cannot be said."""
    ours: str
    """The one that the others are compared with."""
    static_wins: bool
    """Whether a fixed number beats it at equal cost."""
    static_enough: int | None
    """The least fixed number with at most LATE late."""
    trace: str | None = None
    """The file, where the load is from one."""

    @property
    def is_sweep(self) -> bool:
        return len(self.rows) > len(self.policies)

    def points(self, policy: str) -> list[Row]:
        return [row for row in self.rows if row.policy == policy]


def compare(
    runs: Mapping[str, Runs], *, load: str, service: str, cold_start_s: float, max_replicas: int
) -> ScalingComparison:
    """`predictive` is compared with the others, or the first policy where that was not run."""
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
    """How many times fewer violations at equal cost: the geometric mean over the seeds, each with its own curves."""
    pairs = zip(ours, theirs, strict=False)
    return geometric_mean([fewer(Envelope(mine), Envelope(other)) for mine, other in pairs])


def events_versus(ours: Runs, theirs: Runs) -> float:
    pairs = zip(ours, theirs, strict=False)
    return geometric_mean([events_ratio(Envelope(mine), Envelope(other)) for mine, other in pairs])


def rows_of(policy: str, runs: Runs) -> list[Row]:
    """Target by target, the mean of the seeds that have it: how many replicas are tried depends on the load drawn."""
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
            Row(
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
    """JSON knows no NaN."""
    return value if math.isfinite(value) else None
