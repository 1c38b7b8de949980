"""Aims of `predictive`, compared with the finished runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from argosy.simulation.scaling.envelope import geometric_mean
from argosy.simulation.scaling.report import OURS, Runs, events_versus, versus
from benchmarks._scaling_cells import CASES, SHORT_COLD_STARTS_S, STEADY, Case, Sweeps

FEWER: Mapping[str, float] = {"hpa_cpu": 2.3, "keda": 2.3, "ray": 2.3, "hpa_inflight": 2.0, "kpa": 1.5}
LEAST_IN_A_CELL = 0.8
MOST_EVENTS = 2.0
LONG_COLD_START_S = 30
HPA = "hpa_cpu"


def print_aims(seeds: int) -> None:
    print("\n| figure | cells | measured | least cell | aim | |\n|---|---|---|---|---|---|")
    short = [c for c in CASES.values() if c.trace != STEADY and c.cold_start_s in SHORT_COLD_STARTS_S]
    for peer, bound in FEWER.items():
        figures = _figures(short, peer, seeds, versus)
        _print(f"late requests of `{peer}`, times ours", figures, bound, least=LEAST_IN_A_CELL)
    long = [c for c in CASES.values() if c.trace != STEADY and c.cold_start_s >= LONG_COLD_START_S]
    events = _figures(long, HPA, seeds, events_versus)
    _print(f"our changes over those of `{HPA}`, cold start ≥ {LONG_COLD_START_S} s", events, MOST_EVENTS, at_most=True)
    for case in CASES.values():
        if case.trace == STEADY:
            ours, theirs = (_reversals(Sweeps(case.name).runs(policy, seeds)) for policy in (OURS, HPA))
            if not math.isnan(ours + theirs):
                verdict = "met" if ours <= theirs else "**missed**"
                what = f"reversals within 5 min, {case.about}"
                print(f"| {what} | 1 | {ours:.1f} a run | | ≤ {theirs:.1f} (`{HPA}`) | {verdict} |", flush=True)


def _figures(cases: Sequence[Case], peer: str, seeds: int, of: Callable[[Runs, Runs], float]) -> dict[str, float]:
    """Return the figures by cell, for the cells in which both policies were run and can be compared."""
    found = {}
    for case in cases:
        sweeps = Sweeps(case.name)
        ours, theirs = sweeps.runs(OURS, seeds), sweeps.runs(peer, seeds)
        if ours and theirs:
            found[case.name] = of(ours, theirs)
    return {name: figure for name, figure in found.items() if math.isfinite(figure)}


def _print(what: str, figures: Mapping[str, float], bound: float, *, least: float = 0.0, at_most: bool = False) -> None:
    if not figures:
        print(f"| {what} | 0 | not run | | | |")
        return
    mean = geometric_mean(list(figures.values()))
    worst = (max if at_most else min)(figures, key=figures.__getitem__)
    met = mean <= bound if at_most else mean >= bound and figures[worst] >= least
    aim = f"≤ {bound:g}" if at_most else f"≥ {bound:g}, no cell below {least:g}"
    verdict = "met" if met else "**missed**"
    print(f"| {what} | {len(figures)} | {mean:.2f} | {figures[worst]:.2f} ({worst}) | {aim} | {verdict} |", flush=True)


def _reversals(runs: Runs) -> float:
    """Return the mean number of reversals over all targets and seeds."""
    counts = [outcome.reversals for outcomes in runs for outcome in outcomes]
    return sum(counts) / len(counts) if counts else math.nan
