"""Tables and pictures of the finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from argosy.simulation.scaling.contenders import CONTENDERS
from argosy.simulation.scaling.pareto import draw
from argosy.simulation.scaling.report import OURS, ScalingComparison, compare
from benchmarks._scaling_cells import MOST, Case, Sweeps


def comparison(case: Case, seeds: int) -> ScalingComparison | None:
    """Compare the policies that have runs, over the seeds that all of them have; None when ours has no runs."""
    sweeps = Sweeps(case.name)
    found = {name: sweeps.runs(name, seeds) for name in (OURS, *(name for name in CONTENDERS if name != OURS))}
    found = {name: runs for name, runs in found.items() if runs}
    if OURS not in found:
        return None
    common = min(map(len, found.values()))
    runs = {name: those[:common] for name, those in found.items()}
    return compare(
        runs,
        load=case.trace,
        service=case.service,
        cold_start_s=case.cold_start_s,
        max_replicas=MOST[case.busy],
    )


def print_cells(cases: Sequence[Case], seeds: int) -> None:
    """Print a row per cell: how many times our late requests each policy has at equal replica-hours."""
    others = [name for name in CONTENDERS if name not in (OURS, "oracle")]
    heads = ["trace", "service", "busy", "cold start", "seeds", *(f"`{name}`" for name in others), "regret"]
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for case in cases:
        found = comparison(case, seeds)
        if found is None:
            continue
        cells = [_ratio(found.versus.get(name)) for name in others]
        regret = next(summary.regret for summary in found.policies if summary.policy == OURS)
        print(
            f"| {case.trace} | {case.service} | {case.busy} | {case.cold_start_s} s | {found.seeds} | "
            f"{' | '.join(cells)} | {'–' if regret is None else f'{100 * regret:+.0f} %'} |",
            flush=True,
        )


def print_case(case: Case, seeds: int) -> None:
    """Print every point of one cell."""
    found = comparison(case, seeds)
    if found is None:
        return
    print(f"\n**{case.about}**, {found.seeds} seeds × {found.requests:,} requests.\n")
    print("| policy | late % at replica-hours, target by target | 1 % late costs | changes | reversals |")
    print("|---|---|---|---|---|")
    for summary in found.policies:
        points = found.points(summary.policy)
        curve = ", ".join(f"{100 * p.slo_violations:.3g} at {p.replica_hours:.3g}" for p in points)
        changes = sum(p.scaling_events for p in points) / len(points)
        reversals = sum(p.reversals for p in points) / len(points)
        hours = "–" if summary.hours is None else f"{summary.hours:.4g} h"
        print(f"| `{summary.policy}` | {curve} | {hours} | {changes:.0f} | {reversals:.0f} |", flush=True)


def write_picture(case: Case, seeds: int, folder: Path) -> None:
    found = comparison(case, seeds)
    if found is not None:
        (folder / f"scaling-{case.name}.svg").write_text(draw(found), encoding="utf-8")


def _ratio(value: float | None) -> str:
    if value is None:
        return "–"
    return f"**{value:.2f}**" if value < 0.8 else f"{value:.2f}"
