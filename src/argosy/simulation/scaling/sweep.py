"""Sweep of one cell: one load and cold start, every policy over its targets, some seeds, spread over processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache, partial

from argosy.simulation.scaling.autoscaler import Contender, World
from argosy.simulation.scaling.contenders import CONTENDERS
from argosy.simulation.scaling.demand import Demand
from argosy.simulation.scaling.foresight import Foreseen, foresee, is_long_enough
from argosy.simulation.scaling.load import Load, draw, whole_seconds
from argosy.simulation.scaling.run import RunResult, simulate
from argosy.simulation.scaling.service import SimulatedService
from argosy.simulation.workers import end_with


@dataclass(frozen=True)
class Cell:
    """Circumstances of a sweep. Compared by identity, so that its loads can be cached."""

    demand: Demand
    service: SimulatedService
    cold_start_s: float
    min_replicas: int
    max_replicas: int

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def busy(demand: Demand, service: SimulatedService, replicas: float) -> Demand:
    """Scale the demand so that its busiest minute keeps that many replicas busy."""
    return demand.scaled(replicas * service.slots / service.mean_s / demand.busiest_rps)


def world(cell: Cell, seed: int, *, forecast: bool = True) -> World:
    """Return the world of a cell and seed.

    With `forecast`, the world has forecasts when the load and its history are long enough for any.
    """
    return World(
        cell.service,
        _load(cell, seed),
        whole_seconds(cell.cold_start_s),
        cell.min_replicas,
        cell.max_replicas,
        partial(_foreseen, cell, seed) if forecast and is_long_enough(cell.demand) else None,
    )


PARTS = 3
"""Number of tasks per sweep, because the sweep of one policy can take as long as all others together."""


def swept(contender: Contender, given: World, *, whole: bool = True, part: slice = slice(None)) -> list[RunResult]:
    """Run a contender on each target, or on the targets of the part, or only on the usual target."""
    outcomes = []
    for target in contender.targets(given)[part] if whole else (contender.usual(given),):
        first = None if contender.first is None else contender.first(given, target)
        outcomes.append(simulate(given, contender.make(given, target), target, first))
    return outcomes


def sweep(
    cell: Cell,
    names: Sequence[str],
    *,
    seeds: int,
    jobs: int = 1,
    whole: bool = True,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, list[list[RunResult]]]:
    """Run every policy and return its outcomes by policy and seed, for all its targets or only the usual one."""
    parts = PARTS if whole else 1
    tasks = [(name, seed, part) for seed in range(seeds) for name in names for part in range(parts)]
    found: dict[Task, list[RunResult]] = {}
    for task, outcomes in _done(cell, tasks, min(jobs, len(tasks)), whole):
        found[task] = outcomes
        progress(len(found), len(tasks))
    return {
        name: [_joined([found[name, seed, part] for part in range(parts)]) for seed in range(seeds)] for name in names
    }


Task = tuple[str, int, int]
"""Policy, seed and part."""


def _joined(parts: list[list[RunResult]]) -> list[RunResult]:
    """Interleave the parts in target order: part p has every PARTS-th target from the p-th on."""
    return [part[i] for i in range(len(parts[0])) for part in parts if i < len(part)]


def _done(cell: Cell, tasks: list[Task], jobs: int, whole: bool) -> Iterator[tuple[Task, list[RunResult]]]:
    if jobs <= 1:
        _given[:] = [(cell, whole)]
        for task in tasks:
            yield task, _task(task)
        return
    with ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=_take, initargs=(os.getpid(), cell, whole)
    ) as pool:
        running = {pool.submit(_task, task): task for task in tasks}
        for future in as_completed(running):
            yield running[future], future.result()


_given: list[tuple[Cell, bool]] = []


def _take(parent: int, cell: Cell, whole: bool) -> None:
    end_with(parent)
    _given[:] = [(cell, whole)]


def _task(task: Task) -> list[RunResult]:
    cell, whole = _given[0]
    name, seed, part = task
    return swept(CONTENDERS[name], world(cell, seed), whole=whole, part=slice(part, None, PARTS))


@lru_cache(maxsize=2)
def _load(cell: Cell, seed: int) -> Load:
    return draw(cell.demand, cell.service, seed)


@lru_cache(maxsize=2)
def _foreseen(cell: Cell, seed: int) -> Foreseen:
    return foresee(cell.demand, _load(cell, seed), cell.service, cell.cold_start_s, seed)
