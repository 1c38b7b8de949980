"""Scaling policies in `argosy simulate`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from argosy.cli import output

if TYPE_CHECKING:
    from argosy.simulation.scaling.report import PolicyRow, ScalingComparison
    from argosy.simulation.scaling.sweep import Cell

SERVICE = "generation"
MOST_RECORDED = 10
SLOTS, COLD_START_S = 4, 10.0
SEEDS, LONG_SEEDS, LONG_S = 5, 1, 6 * 3600
"""Load length above which LONG_SEEDS runs suffice: days of load vary less between seeds than an hour does."""
REPLICAS_A_BUSY_ONE = 20 / 7
"""Most replicas per replica that the busiest minute needs, as in the published cells: 20 for 7, 80 for 28."""


@dataclass(frozen=True, slots=True)
class Given:
    """Options that the user gave."""

    policies: str
    trace: Path | None
    history_s: float | None
    data_dir: Path | None
    service: str | None
    cold_start_s: float | None
    busy: float | None
    most: int | None
    since_h: float
    hours: float | None
    slots: int | None
    slo_ms: float | None
    work_ms: float | None
    whole: bool
    seeds: int | None
    jobs: int
    plot: Path | None
    as_json: bool


def simulate_scaling(given: Given) -> None:
    """Simulate the policies and print the comparison. Raises: ConfigError when the options do not fit together."""
    from argosy.simulation.scaling.compiled import COMPILED
    from argosy.simulation.scaling.contenders import contenders
    from argosy.simulation.scaling.pareto import draw
    from argosy.simulation.scaling.report import compare
    from argosy.simulation.scaling.sweep import sweep

    chosen = [contender.name for contender in contenders(given.policies)]
    cell = _traced(given) if given.history_s is None else _recorded(given, given.history_s)
    if not COMPILED:
        typer.echo("The simulation runs about fifty times faster after: pip install 'argosy[simulate]'", err=True)
    progress = _silence if given.as_json or not sys.stderr.isatty() else _progress
    seeds = given.seeds or (LONG_SEEDS if cell.demand.length_s > LONG_S else SEEDS)
    runs = sweep(
        cell, chosen, seeds=seeds, jobs=given.jobs or os.cpu_count() or 1, whole=given.whole, progress=progress
    )
    result = compare(
        runs,
        load=cell.demand.name,
        service=cell.service.name,
        cold_start_s=cell.cold_start_s,
        max_replicas=cell.max_replicas,
    )
    result.trace = None if given.trace is None else str(given.trace)
    if given.plot:
        given.plot.write_text(draw(result), encoding="utf-8")
    if given.as_json:
        output.json(result)
        return
    _print(result, cell)


def _traced(given: Given) -> Cell:
    from argosy.contracts.errors import ConfigError
    from argosy.simulation.loads.traces import read_trace
    from argosy.simulation.scaling.demand import LONGEST_S, demand
    from argosy.simulation.scaling.service import SERVICES
    from argosy.simulation.scaling.sweep import Cell, busy

    if given.trace is None:
        raise ConfigError("Scaling policies need a load: give --trace FILE or --from-history 7d.", param="trace")
    name = given.service or SERVICE
    if name not in SERVICES:
        raise ConfigError(
            f"Unknown service {name!r}; with --trace, choose one of {', '.join(SERVICES)}.", param="service"
        )
    trace = read_trace(given.trace, sys.maxsize)
    length_s = LONGEST_S if given.hours is None else given.hours * 3600
    service = SERVICES[name].measured(trace.written)
    replicas = given.busy or 7.0
    load = busy(demand(trace, since_s=given.since_h * 3600, length_s=length_s), service, replicas)
    most = given.most or round(replicas * REPLICAS_A_BUSY_ONE)
    return Cell(load, service, _first(given.cold_start_s, COLD_START_S), 1, most)


def _recorded(given: Given, length_s: float) -> Cell:
    """Return the recorded load. Values that the user did not give are those the controller knows of the service."""
    import time

    from argosy.cli.client.locate import DEFAULT_DATA_DIR
    from argosy.simulation.scaling.recorded import known_of, recorded, recorded_service
    from argosy.simulation.scaling.sweep import Cell

    data_dir, name, now_s = given.data_dir or DEFAULT_DATA_DIR, given.service or SERVICE, time.time()
    load, known = recorded(data_dir, name, length_s, now_s), known_of(data_dir, name)
    slots = given.slots or known.slots or SLOTS
    service = recorded_service(
        data_dir, name, length_s, now_s, slots=slots, slo_s=_seconds(given.slo_ms), work_s=_seconds(given.work_ms)
    )
    cold_start_s = _first(given.cold_start_s, known.cold_start_s, COLD_START_S)
    return Cell(load, service, cold_start_s, 1, given.most or known.max_replicas or MOST_RECORDED)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _print(result: ScalingComparison, cell: Cell) -> None:
    service = cell.service
    promise = "twice the request's own time" if service.slo_s is None else f"{1000 * service.slo_s:g} ms"
    output.line(
        f"{result.load}, {cell.demand.length_s / 3600:.3g} h, {result.requests:,} requests to {service.name}: "
        f"{1000 * service.mean_s:.3g} ms each, {output.quantity(service.slots, 'slot')} per replica, SLO {promise}."
    )
    seeds = output.quantity(result.seeds, "seed")
    output.line(f"Cold start {result.cold_start_s:g} s, at most {result.max_replicas} replicas, {seeds}.")
    output.table(
        ["policy", "target", "late %", "replica-hours", "changes", "reversals", "p50 ms", "p99 ms"],
        [_cells(row) for row in result.rows],
    )
    _versus(result)


def _cells(row: PolicyRow) -> tuple[str, ...]:
    return (
        row.policy,
        f"{row.target:.3g}",
        f"{100 * row.slo_violations:.3g}",
        f"{row.replica_hours:.4g}",
        f"{row.scaling_events:.3g}",
        f"{row.reversals:.3g}",
        *(output.DASH if value is None else f"{value:,.0f}" for value in (row.p50_ms, row.p99_ms)),
    )


def _versus(result: ScalingComparison) -> None:
    for summary in result.policies:
        said, fewer = [], result.versus.get(summary.policy)
        if fewer is None and summary.policy in result.versus and result.is_sweep:
            said.append(
                f"cannot be compared with {result.ours}: no replica-hours in common, or almost no late requests"
            )
        if fewer is not None:
            said.append(f"{fewer:.3g} times the late requests of {result.ours} at equal replica-hours")
        if summary.hours is not None:
            over = "" if summary.regret is None else f", {100 * summary.regret:+.0f} % over the bound"
            said.append(f"1 % late costs {summary.hours:.4g} replica-hours{over}")
        if said:
            output.line(f"{summary.policy}: {'; '.join(said)}.")
    if result.static_wins:
        enough = (
            ""
            if result.static_enough is None
            else f" = {result.static_enough}, which keeps late requests at or below 1 %"
        )
        output.line(
            f"On this load, a fixed number of replicas does better than {result.ours}: "
            f"consider replicas.min = replicas.max{enough}."
        )


def _silence(done: int, of: int) -> None:
    """Print no progress."""


def _progress(done: int, of: int) -> None:
    typer.echo(f"\r{done} of {of} sweeps" if done < of else "\r\033[K", nl=False, err=True)
