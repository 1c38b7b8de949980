"""What a sweep comes to: points of each policy, and how they compare at equal cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from argosy.simulation.scaling.contenders import CONTENDERS
from argosy.simulation.scaling.envelope import Envelope, events_ratio, fewer, geometric_mean
from argosy.simulation.scaling.run import Outcome

Runs: TypeAlias = Sequence[Sequence[Outcome]]
"""For each seed the outcomes of all targets."""
LATE = 0.01
BOUND = "oracle"


class Point(msgspec.Struct):
    """Means over the seeds."""

    target: float
    violations: float
    replica_hours: float
    events: float
    reversals: float


class PolicyRow(msgspec.Struct):
    policy: str
    about: str
    target: str
    """What its target is."""
    points: list[Point]
    hours: float | None
    """Least replica-hours with at most LATE late, between the points; None where no point comes that low."""
    regret: float | None
    """These over the oracle's, less one."""
    fewer: float | None
    """How many times fewer violations the first policy has at equal cost; None where it cannot be said."""
    events: float | None
    """Scaling events of the first policy over this one's, at equal cost."""


class ScalingComparison(msgspec.Struct):
    """`fixed_wins`: the fixed number that beats the first policy at equal cost, where one does."""

    load: str
    service: str
    cold_start_s: float
    max_replicas: int
    seeds: int
    requests: int
    rows: list[PolicyRow]
    fixed_wins: bool


def compare(
    runs: Mapping[str, Runs], *, load: str, service: str, cold_start_s: float, max_replicas: int
) -> ScalingComparison:
    """The first policy is the one that the others are compared with."""
    first = next(iter(runs))
    rows = [_row(name, runs, runs[first], first) for name in runs]
    fixed = next((row.fewer for row in rows if row.policy == "fixed"), None)
    return ScalingComparison(
        load=load,
        service=service,
        cold_start_s=cold_start_s,
        max_replicas=max_replicas,
        seeds=len(runs[first]),
        requests=runs[first][0][0].requests,
        rows=rows,
        fixed_wins=fixed is not None and fixed < 1,
    )


def versus(ours: Runs, theirs: Runs) -> float:
    """How many times fewer violations at equal cost: the geometric mean over the seeds, each with its own curves."""
    pairs = zip(ours, theirs, strict=False)
    return geometric_mean([fewer(Envelope(mine), Envelope(other)) for mine, other in pairs])


def events_versus(ours: Runs, theirs: Runs) -> float:
    pairs = zip(ours, theirs, strict=False)
    return geometric_mean([events_ratio(Envelope(mine), Envelope(other)) for mine, other in pairs])


def points(runs: Runs) -> list[Point]:
    """Target by target, the mean of the seeds that have it: how many replicas are tried depends on the load drawn."""
    found = []
    for target in dict.fromkeys(outcome.target for outcomes in runs for outcome in outcomes):
        same = [outcome for outcomes in runs for outcome in outcomes if outcome.target == target]
        count = len(same)
        found.append(
            Point(
                target=same[0].target,
                violations=sum(o.violations for o in same) / count,
                replica_hours=sum(o.replica_hours for o in same) / count,
                events=sum(o.events for o in same) / count,
                reversals=sum(o.reversals for o in same) / count,
            )
        )
    return found


def _row(name: str, runs: Mapping[str, Runs], first: Runs, first_name: str) -> PolicyRow:
    mine, itself = runs[name], name == first_name
    hours = _hours(mine)
    least = _hours(runs[BOUND]) if BOUND in runs else math.nan
    return PolicyRow(
        policy=name,
        about=CONTENDERS[name].about,
        target=CONTENDERS[name].target,
        points=points(mine),
        hours=_plain(hours),
        regret=_plain(hours / least - 1) if name != BOUND else None,
        fewer=None if itself else _plain(versus(first, mine)),
        events=None if itself or not CONTENDERS[name].counted else _plain(events_versus(first, mine)),
    )


def _hours(runs: Runs) -> float:
    return geometric_mean([Envelope(outcomes).hours_for(LATE) for outcomes in runs])


def _plain(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if math.isfinite(value) else None
