"""Comparison of several strategies on the same requests: one run per strategy and seed, spread over processes."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial

import msgspec

from argosy.simulation.balancing.regime import Regime
from argosy.simulation.balancing.run import run
from argosy.simulation.balancing.subject import Subject
from argosy.simulation.balancing.summary import Summary, summarize
from argosy.simulation.bootstrap import Interval, mean_interval, ratio_interval
from argosy.simulation.workers import end_with

Task = tuple[Subject, int]
Mapped = Callable[[Callable[[Task], Summary], list[Task]], Iterator[Summary]]

STABLE_SHARE = 0.5
"""A strategy counts as stable when more than this share of its runs were stable."""


class StrategyRow(msgspec.Struct):
    """Means over the seeds. A figure is None when any run lacks it."""

    strategy: str
    p50_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    goodput: float | None
    failed: float | None
    attempts: float | None
    slow_share: float | None
    stable: bool
    measures: dict[str, float | None]
    ci95: dict[str, Interval]


class Comparison(msgspec.Struct, omit_defaults=True):
    """Result of a comparison.

    `versus` is the p99 of each other strategy divided by that of the first; None when either strategy was unstable.
    """

    rows: list[StrategyRow]
    callers: int
    seeds: int
    requests: int
    versus: dict[str, float | None]
    versus_ci95: dict[str, Interval]
    regime: str | None = None
    trace: str | None = None


def compare(
    regime: Regime,
    subjects: Sequence[Subject],
    *,
    callers: int = 1,
    seeds: int = 10,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Comparison:
    """Run all subjects on the same requests and compare the others with the first.

    Args: `jobs` is the number of processes; `progress` is called with the runs done and the total after each run.
    """
    tasks = [(subject, seed) for seed in range(seeds) for subject in subjects]
    summaries: dict[str, list[Summary]] = {subject.label: [] for subject in subjects}
    with _mapping(min(jobs, len(tasks))) as mapped:
        outcomes = mapped(partial(_task, regime, callers), tasks)
        for done, ((subject, _), summary) in enumerate(zip(tasks, outcomes, strict=True), start=1):
            summaries[subject.label].append(summary)
            progress(done, len(tasks))
    return compared(regime, summaries, callers)


def compared(regime: Regime, summaries: Mapping[str, Sequence[Summary]], callers: int) -> Comparison:
    """Compare finished runs.

    Args: `summaries` maps each label to its runs, with the same seeds in the same order. The first label is compared
    with the others.
    """
    rows = {label: _row(label, column) for label, column in summaries.items()}
    versus, versus_ci95 = _versus(summaries, rows)
    seeds = len(next(iter(summaries.values())))
    return Comparison(list(rows.values()), callers, seeds, regime.requests, versus, versus_ci95, regime=regime.name)


def _task(regime: Regime, callers: int, task: Task) -> Summary:
    subject, seed = task
    return summarize(regime, run(regime, subject, seed, callers))


@contextmanager
def _mapping(jobs: int) -> Iterator[Mapped]:
    if jobs <= 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=end_with, initargs=(os.getpid(),)) as pool:
        yield pool.map


def _row(strategy: str, summaries: Sequence[Summary]) -> StrategyRow:
    names = list(summaries[0].figures)
    values = {name: [summary.figures[name] for summary in summaries] for name in names}
    means = {name: _plain(sum(column) / len(column)) for name, column in values.items()}
    known = {field.name for field in msgspec.structs.fields(StrategyRow)}
    return StrategyRow(
        strategy=strategy,
        stable=sum(summary.stable for summary in summaries) > STABLE_SHARE * len(summaries),
        measures={name: mean for name, mean in means.items() if name not in known},
        ci95={name: mean_interval(values[name]) for name in names if means[name] is not None},
        **{name: mean for name, mean in means.items() if name in known},
    )


def _versus(
    summaries: Mapping[str, Sequence[Summary]], rows: Mapping[str, StrategyRow]
) -> tuple[dict[str, float | None], dict[str, Interval]]:
    versus: dict[str, float | None] = {}
    intervals: dict[str, Interval] = {}
    first, *others = summaries
    ours = [summary.figures["p99_ms"] for summary in summaries[first]]
    for other in others:
        theirs = [summary.figures["p99_ms"] for summary in summaries[other]]
        ratio = _plain(sum(theirs) / sum(ours)) if rows[first].stable and rows[other].stable else None
        versus[other] = ratio
        if ratio is not None:
            intervals[other] = ratio_interval(theirs, ours)
    return versus, intervals


def _plain(value: float) -> float | None:
    """Return None for NaN, which JSON cannot express."""
    return None if math.isnan(value) else value
