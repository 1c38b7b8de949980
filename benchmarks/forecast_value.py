"""Benchmark of the value of the forecast for scaling: policy `predictive` with and without it, on the same requests.

`python benchmarks/forecast_value.py --data DIR` reads DIR/traces, prints a Markdown table and writes
benchmarks/results/forecast-value-TIME.json. Both variants are compared with the best reactive rule in hindsight: all of
7 holds × 5 targets are run over the days that count, and their lower envelope is chosen afterwards. The forecast learns
from the days before and from the elapsed part. Ratios above 1 favour `predictive`: they tell how many times fewer
answers are late at equal replica-hours.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.simulation.loads.arrivals import Counted
from argosy.simulation.loads.traces import read_trace
from argosy.simulation.scaling.autoscaler import Foresight, World
from argosy.simulation.scaling.contenders import CONTENDERS
from argosy.simulation.scaling.demand import Demand
from argosy.simulation.scaling.envelope import Envelope, fewer
from argosy.simulation.scaling.foresight import told
from argosy.simulation.scaling.run import RunResult, simulate
from argosy.simulation.scaling.service import SERVICES
from argosy.simulation.scaling.sweep import Cell, busy, swept, world
from benchmarks._reactive import Reactive

RESULTS = Path(__file__).resolve().parent / "results"
EVERY_REQUEST = 10**9
LEARNT_DAYS = 7
HOLDS_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)
TARGETS = (0.35, 0.5, 0.65, 0.8, 0.95)
MOST = 20 / 7
"""Maximum number of replicas, per replica that the busiest minute keeps busy."""
PIECE_MIN = 120
SERVICE = SERVICES["generation"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    trace: str
    bin_s: int
    busy: float
    cold_start_s: float
    on: list[RunResult]
    off: list[RunResult]
    known: list[RunResult]
    reactive: list[RunResult]

    def ratio(self, ours: Sequence[RunResult], theirs: Sequence[RunResult] | None = None) -> float:
        return fewer(Envelope(ours), Envelope(self.reactive if theirs is None else theirs))

    @property
    def figures(self) -> dict[str, float]:
        figures = {"on": self.ratio(self.on), "off": self.ratio(self.off), "gain": self.ratio(self.on, self.off)}
        if self.known:
            known = self.ratio(self.known)
            figures |= {"known": known, "closed": math.log(figures["on"]) / math.log(known)}
        return figures

    def printed(self) -> str:
        figures = self.figures
        shown = [f"{figures[name]:.2f}" if name in figures else "–" for name in ("on", "off", "gain", "known")]
        shown.append(f"{figures['closed']:.0%}" if "closed" in figures else "–")
        cells = [self.trace, f"{self.bin_s} s", f"{self.busy:g}", f"{self.cold_start_s:g} s", *shown]
        return f"| {' | '.join(cells)} |"


def cell(counts: Floats, bin_s: int, replicas: float, cold_start_s: float, name: str) -> Cell:
    """Return a cell of the days after LEARNT_DAYS, with the days before as history.

    The load is scaled so that the busiest minute of all keeps `replicas` busy. Within a bin arrivals are Poisson.
    """
    whole = len(counts) // 60 * 60
    minutes = Demand(name, 60, counts[:whole].reshape(-1, 60).sum(1) / 60, np.empty(0))
    factor = busy(minutes, SERVICE, replicas).busiest_rps / minutes.busiest_rps
    rates = counts[:whole].reshape(-1, bin_s).sum(1) / bin_s * factor
    begin = LEARNT_DAYS * 86_400 // bin_s
    demand = Demand(name, bin_s, rates[begin:], rates[:begin])
    return Cell(demand, SERVICE, cold_start_s, 1, math.ceil(MOST * replicas))


def reactive(given: World, known: Foresight | None = None) -> list[RunResult]:
    return [
        simulate(given, Reactive(target, hold_s, SERVICE.mean_s, known), target)
        for hold_s in HOLDS_S
        for target in TARGETS
    ]


def measured(
    name: str, counts: Floats, bin_s: int, replicas: float, cold_start_s: float, seed: int, *, bound: bool
) -> Row:
    made = cell(counts, bin_s, replicas, cold_start_s, name)
    given, ours = world(made, seed), CONTENDERS["predictive"]
    without = replace(given, predictor=None)
    return Row(
        name, bin_s, replicas, cold_start_s,
        swept(ours, given), swept(ours, without),
        reactive(without, told(given.load, SERVICE, cold_start_s)) if bound else [],
        reactive(without),
    )  # fmt: skip


def off_the_clock(counts: Floats, seed: int = 7) -> Floats:
    """Rotate each piece of two hours by a random time: its bursts stay, but their times of day change."""
    rng, length = np.random.default_rng(seed), PIECE_MIN * 60
    moved = counts.copy()
    for begin in range(0, len(counts) - length, length):
        moved[begin : begin + length] = np.roll(moved[begin : begin + length], int(rng.integers(length)))
    return moved


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with traces/; nothing is measured without it")
    parser.add_argument("--trace", default="nasa", help="prefix of the traces' file names")
    parser.add_argument("--from-day", type=int, default=0, help="first day to read")
    parser.add_argument("--days", type=int, default=2, help="days to measure, after the first 7")
    parser.add_argument("--bins", type=int, nargs="+", default=[60, 1], help="seconds")
    parser.add_argument("--cold-starts", type=float, nargs="+", default=[10, 30, 120], help="seconds")
    parser.add_argument("--busy", type=float, nargs="+", default=[7], help="busy replicas in the busiest minute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--bound", action="store_true", help="also run the reactive rule with each window's true highest load"
    )
    parser.add_argument("--shuffled", action="store_true", help="move bursts to random times of day")
    options = parser.parse_args(arguments)
    if options.data is None:
        print("Nothing is measured: give --data DIR, a folder that holds traces/.", file=sys.stderr)
        return 0
    print(
        "| trace | bins | busy | cold start | with forecast | without | with against without | future known | share of "
        "the log gap |\n|---|---|---|---|---|---|---|---|---|"
    )
    written: list[dict[str, object]] = []
    for path in sorted((options.data / "traces").glob(f"{options.trace}*")):
        arrivals = read_trace(path, EVERY_REQUEST).arrivals
        if not isinstance(arrivals, Counted):
            print(f"{path.name} is left out: it is no trace of counts.", file=sys.stderr)
            continue
        counts = np.array(arrivals.counts, np.float64)[options.from_day * 86_400 :]
        counts = counts[: (LEARNT_DAYS + options.days) * 86_400]
        name = path.name.partition("_")[0]
        if options.shuffled:
            counts, name = off_the_clock(counts), f"{name}, shuffled"
        for bin_s in options.bins:
            for replicas in options.busy:
                for cold_start_s in options.cold_starts:
                    began_s = time.process_time()
                    row = measured(name, counts, bin_s, replicas, cold_start_s, options.seed, bound=options.bound)
                    print(row.printed(), flush=True)
                    written.append(
                        {"trace": name, "bin_s": bin_s, "busy": replicas, "cold_start_s": cold_start_s}
                        | row.figures
                        | {
                            kind: [[o.target, o.violations, o.replica_hours, o.events] for o in outcomes]
                            for kind, outcomes in (("points", row.on), ("points_reactive", row.reactive))
                        }
                        | {"cpu_s": time.process_time() - began_s}
                    )
    RESULTS.mkdir(parents=True, exist_ok=True)
    moment = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    (RESULTS / f"forecast-value-{moment}.json").write_text(json.dumps(written, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
