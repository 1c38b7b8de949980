"""`argosy simulate`: compare balancing strategies or scaling policies on the same simulated requests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from argosy.cli import output
from argosy.cli.client.locate import DataDir
from argosy.cli.durations import seconds
from argosy.cli.simulated_scaling import Given, simulate_scaling

if TYPE_CHECKING:
    from argosy.simulation.balancing.comparison import Comparison, StrategyRow
    from argosy.simulation.balancing.regime import Regime

STRATEGIES = "adaptive,round_robin,least_connections,power_of_two,peak_ewma,prequal"
REGIME = "unequal"
SEEDS = 10


def simulate(
    strategy: Annotated[
        str,
        typer.Option(
            help="Names separated by commas; the first is compared with the others. `adaptive` is simulated with "
            "outlier ejection, as it ships; the others without, as their sources define them. NAME:guarded and "
            "NAME:alone change that."
        ),
    ] = STRATEGIES,
    regime: Annotated[str | None, typer.Option(help=f"The simulated situation. [default: {REGIME}]")] = None,
    trace: Annotated[Path | None, typer.Option(help="Take arrivals from this trace file instead of a regime.")] = None,
    callers: Annotated[int, typer.Option(min=1, max=1000, help="Calling processes, each with its own balancer.")] = 1,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Runs per strategy or policy. [default: strategies 10, policies 5, or 1 if the load exceeds 6 h]",
        ),
    ] = None,
    requests: Annotated[int | None, typer.Option(min=1000, help="Requests per run. [default: the regime's]")] = None,
    replicas: Annotated[int, typer.Option(min=1, max=1000, help="With --trace: number of one-core replicas.")] = 4,
    load: Annotated[float, typer.Option(min=0.01, max=2.0, help="With --trace: utilisation of the replicas.")] = 0.7,
    jobs: Annotated[int, typer.Option(min=0, max=256, help="Processes to compute with; 0 starts one per core.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Write a chart to this file, as SVG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Compare these scaling policies, separated by commas, instead of strategies; `all` takes every one. "
            "`predictive`, or else the first, is compared with the others."
        ),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(help="With --policy: generation or embedding; with --from-history: a service's name."),
    ] = None,
    cold_start: Annotated[
        float | None,
        typer.Option(
            "--cold-start-s",
            "--cold-start",
            min=0,
            max=3600,
            help="With --policy: seconds from launch until a replica is ready. [10; with --from-history as measured]",
        ),
    ] = None,
    sweep: Annotated[
        bool, typer.Option(help="With --policy: run each policy with its whole range of targets.")
    ] = False,
    busy: Annotated[
        float | None, typer.Option(min=0.1, max=1000, help="With --policy: replicas that the busiest minute needs. [7]")
    ] = None,
    max_replicas: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            help="With --policy: most replicas. [20 per 7 of --busy; with --from-history the service's bound]",
        ),
    ] = None,
    since: Annotated[float, typer.Option(min=0, help="With --policy: hours to skip at the start of the trace.")] = 0.0,
    hours: Annotated[
        float | None,
        typer.Option(min=0.01, max=8760, help="With --policy: hours of the trace to use. [all, at most 48]"),
    ] = None,
    from_history: Annotated[
        str | None,
        typer.Option(help="With --policy: use the load that the controller recorded in this time (7d, 12h)."),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="With --from-history: requests a replica serves at once. [as learnt or set]"
        ),
    ] = None,
    work_ms: Annotated[
        float | None, typer.Option(min=0.1, help="With --from-history: time per request. [as in the calmest quarter]")
    ] = None,
    slo_ms: Annotated[
        float | None, typer.Option(min=0.1, help="With --from-history: the latency SLO. [twice the time per request]")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Compare balancing strategies, or with --policy scaling policies, on the same simulated requests."""
    import dataclasses
    import os
    import sys

    from argosy.simulation.balancing.comparison import compare
    from argosy.simulation.balancing.plot import draw
    from argosy.simulation.balancing.subject import Subject

    if plot is not None and not plot.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder {plot.parent} does not exist", param_hint="--plot")
    if policy is not None:
        if regime or (trace is None) == (from_history is None):
            raise typer.BadParameter("needs either --trace or --from-history, and no --regime", param_hint="--policy")
        simulate_scaling(
            Given(
                policies=policy,
                trace=trace,
                history_s=seconds(from_history),
                data_dir=data_dir,
                service=service,
                cold_start_s=cold_start,
                busy=busy,
                most=max_replicas,
                since_h=since,
                hours=hours,
                slots=slots,
                slo_ms=slo_ms,
                work_ms=work_ms,
                whole=sweep,
                seeds=seeds,
                jobs=jobs,
                plot=plot,
                as_json=as_json,
            )
        )
        return
    given = (from_history, service, busy, hours, cold_start, max_replicas, slots, work_ms, slo_ms)
    if sweep or since or any(value is not None for value in given):
        raise typer.BadParameter(
            "is missing: --from-history, --sweep, --service, --cold-start-s and the other options of policies need it",
            param_hint="--policy",
        )
    seeds = seeds or SEEDS
    if regime and trace:
        raise typer.BadParameter("give --regime or --trace, not both", param_hint="--regime")
    subjects = list(dict.fromkeys(map(Subject.parse, strategy.split(","))))
    chosen = _replayed(trace, requests, replicas, load) if trace else _named(regime or REGIME)
    if requests and not trace:
        chosen = dataclasses.replace(chosen, requests=requests)
    progress = _progress if sys.stderr.isatty() and not as_json else _silence
    result = compare(
        chosen, subjects, callers=callers, seeds=seeds, jobs=jobs or os.cpu_count() or 1, progress=progress
    )
    if trace:
        result.regime, result.trace = None, str(trace)
    if plot:
        plot.write_text(draw(result, chosen.about), encoding="utf-8")
    if as_json:
        output.json(result)
        return
    output.line(f"{chosen.name}: {chosen.about}.")
    output.line(
        f"{chosen.requests:,} requests, {output.quantity(callers, 'caller')}, "
        f"{output.quantity(seeds, 'seed')}, 95 % intervals."
    )
    _table(result)
    _versus(result)


def _named(name: str) -> Regime:
    from argosy.contracts.errors import ConfigError
    from argosy.simulation.balancing.regimes import REGIMES

    if name not in REGIMES:
        raise ConfigError(f"Unknown regime {name!r}; choose one of {', '.join(REGIMES)}.")
    return REGIMES[name]()


def _replayed(trace: Path, requests: int | None, replicas: int, load: float) -> Regime:
    from argosy.simulation.balancing.replay import replay
    from argosy.simulation.loads.traces import read_trace

    return replay(read_trace(trace, requests or 200_000), replicas=replicas, load=load)


def _silence(done: int, of: int) -> None:
    """Print no progress."""


def _progress(done: int, of: int) -> None:
    typer.echo(f"\r{done} of {of} runs" if done < of else "\r\033[K", nl=False, err=True)


def _table(result: Comparison) -> None:
    measures = list(result.rows[0].measures)
    shares = any(row.slow_share is not None for row in result.rows)
    retries = any((row.attempts or 1) > 1 for row in result.rows)
    columns = ["strategy", "p50 ms", "p99 ms", "p99.9 ms", "goodput/s", "failed"]
    columns += ["attempts"] * retries + ["slow %"] * shares + measures
    output.table(columns, [_cells(row, measures, result.seeds, shares=shares, retries=retries) for row in result.rows])


def _cells(row: StrategyRow, measures: list[str], seeds: int, *, shares: bool, retries: bool) -> list[str]:
    def figure(name: str, value: float | None, scale: float = 1) -> str:
        if value is None:
            return output.DASH
        if seeds < 2:
            return f"{value * scale:.4g}"
        low, high = row.ci95[name]
        return f"{value * scale:.4g} ({low * scale:.4g}–{high * scale:.4g})"

    cells = [
        row.strategy if row.stable else f"{row.strategy} (unstable)",
        figure("p50_ms", row.p50_ms),
        figure("p99_ms", row.p99_ms),
        figure("p999_ms", row.p999_ms),
        figure("goodput", row.goodput),
        figure("failed", row.failed),
    ]
    cells += [figure("attempts", row.attempts)] * retries + [figure("slow_share", row.slow_share, 100)] * shares
    return cells + [figure(name, row.measures[name]) for name in measures]


def _versus(result: Comparison) -> None:
    first = result.rows[0].strategy
    for other, ratio in result.versus.items():
        if ratio is None:
            output.line(f"p99 of {other} and {first} cannot be compared: at least one of them is unstable.")
        else:
            low, high = result.versus_ci95[other]
            output.line(f"p99 of {other}: {ratio:.3g} ({low:.3g}–{high:.3g}) times that of {first}.")


def register(app: typer.Typer) -> None:
    app.command()(simulate)
