"""Measures what the forecast is worth to scaling: forecast on, tuned by replay, against the best reactive rule.

`python benchmarks/forecast_value.py --data DIR` reads DIR/traces, prints a Markdown table and writes
benchmarks/results/forecast-value-TIME.json. The reactive rule's whole grid of holds and targets is run over the days
that count, and its lower envelope is chosen in hindsight. The forecast and its tuning learn from earlier days alone:
regression and replay are `control/prediction`'s own, asked every REFIT_H hours (the controller: every ten minutes), and
the one knob, violation_cost_s, is swept. Both run request by request on the same arrivals. Ratios above 1 are in favour
of the forecast: how many times fewer answers are late at equal replica-hours.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.control.prediction.analogue import DAY, RING, window_bins
from argosy.control.prediction.replay import (
    LEAST_GAIN,
    NO_FORECAST,
    PEAK_HOLDS_S,
    PEAK_LATE,
    WATCHED_HOLD_S,
    WATCHED_UTILISATION,
    Candidate,
    Replay,
    Shadow,
    candidates,
    late_table,
)
from argosy.control.prediction.window_regression import CHANCES, design, fit_window, targets
from argosy.control.scaling.observation import Capacity
from argosy.simulation.arrivals import Counted
from argosy.simulation.scaling.demand import Demand
from argosy.simulation.scaling.envelope import Envelope, fewer
from argosy.simulation.scaling.load import Requests, draw
from argosy.simulation.scaling.run import Outcome
from argosy.simulation.scaling.service import SERVICES, Service
from argosy.simulation.scaling.sweep import busy
from argosy.simulation.traces import read_trace
from benchmarks._fifo import BIN_S, EVENTS, LATE, REPLICA_S, REQUESTS, followed

RESULTS = Path(__file__).resolve().parent / "results"
EVERY_REQUEST = 10**9
LEARNT_DAYS = 8
REPLAYED_BINS = 4 * DAY
REFIT_H = 6
RETUNE_BINS = 600 // BIN_S
GRID_HOLDS_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)
GRID_UTILISATIONS = (0.35, 0.5, 0.65, 0.8, 0.95)
COSTS_S = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5)
KNOWN_LATE = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.003, 0.001, 1e-4)
PIECE_MIN = 120

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Course:
    """A fleet's circumstances over all days, and what is known of the load by bins."""

    load: Requests
    service: Service
    loads: Floats
    shadow: Shadow
    days: int


def course(counts: Floats, bin_s: int, replicas: float, cold_start_s: float) -> Course:
    """Scaled so that the busiest minute keeps so many replicas busy; within a bin arrivals are Poisson."""
    service = SERVICES["generation"]
    whole = len(counts) // 60 * 60
    minutes = Demand("minutes", 60, counts[:whole].reshape(-1, 60).sum(1) / 60, np.empty(0))
    factor = busy(minutes, service, replicas).busiest_rps / minutes.busiest_rps
    rates = counts[:whole].reshape(-1, bin_s).sum(1) / bin_s
    load = draw(Demand("trace", bin_s, rates * factor, np.empty(0)), service, 1)
    assert isinstance(load, Requests)
    bins = np.bincount((load.arrivals_s // BIN_S).astype(np.int64), minlength=whole // BIN_S)
    capacity = Capacity(service.mean_s, float(service.slots), service.cv2)
    shadow = Shadow(capacity, cold_start_s, service.mean_s, 0.5, 1, math.ceil(20 / 7 * replicas))
    return Course(load, service, bins * service.mean_s / BIN_S, shadow, whole // 86_400)


def run(
    given: Course, hold_s: Floats | float, utilisation: Floats | float, asked: Ints | None, target: float
) -> Outcome:
    """Of the days after the first LEARNT_DAYS; the fleet begins with one replica."""
    bins, begin = len(given.loads), LEARNT_DAYS * DAY
    first = int(np.searchsorted(given.load.arrivals_s, LEARNT_DAYS * 86_400))
    found = followed(
        given.load.arrivals_s[first:] - LEARNT_DAYS * 86_400,
        given.load.work_s[first:],
        given.service.slots,
        given.service.mean_s,
        given.shadow.cold_start_s,
        given.shadow.max_replicas,
        np.broadcast_to(np.asarray(hold_s, np.float64), bins)[begin:].copy(),
        np.broadcast_to(np.asarray(utilisation, np.float64), bins)[begin:].copy(),
        np.zeros(bins - begin, np.int64) if asked is None else asked[begin:],
        (given.days - LEARNT_DAYS) * 86_400,
    ).sum(0)
    return Outcome(
        target, found[LATE] / max(1.0, found[REQUESTS]), found[REPLICA_S] / 3600, int(found[REQUESTS]),
        int(found[EVENTS]), 0,
    )  # fmt: skip


def asked_for(given: Course, shares: Sequence[float]) -> list[Ints]:
    """By share: the replicas that the forecast asks for in each bin, from what was over before it."""
    loads, window = given.loads, window_bins(given.shadow.cold_start_s)
    table, step = late_table(given.shadow)
    found = [np.zeros(len(loads), np.int64) for _ in shares]
    each = REFIT_H * 3600 // BIN_S
    for begin in range(DAY, len(loads), each):
        first = max(0, begin - RING)
        fit = fit_window(loads[first:begin], window)
        if fit is None or not fit.trusted:
            continue
        end = min(begin + each, len(loads))
        # Rows of bin b − 1 are for bin b.
        rows = design(loads[first:end], np.arange(begin - 1, end - 1) - first, window)
        middle = rows @ np.array(fit.weights)
        peaks = np.maximum(middle[:, None] + fit.scale * np.array(fit.quantiles), 0.0) ** 2
        for counts, replicas in zip(found, fewest(peaks, CHANCES, table, step, shares), strict=True):
            counts[begin:end] = replicas
    return found


def fewest(peaks: Floats, chances: Floats, table: Floats, step: float, shares: Sequence[float]) -> list[Ints]:
    """By share: the fewest replicas that let no more be late, for each row of `peaks`, shape (bins, outcomes)."""
    cells = np.minimum(np.ceil(peaks / step), table.shape[1] - 1).astype(np.int64)
    late = np.stack([table[n][cells] @ chances for n in range(1, len(table))])
    return [np.where((late <= share).any(0), (late <= share).argmax(0) + 1, len(late)) for share in shares]


def trailing(counts: Ints, length_s: float) -> Ints:
    """The highest of the last `length_s`, by doubling."""
    found, covered, length = counts, 1, max(1, math.ceil(length_s / BIN_S))
    while covered < length:
        step = min(covered, length - covered)
        found = np.concatenate((found[:step], np.maximum(found[step:], found[:-step])))
        covered += step
    return found


def known_for(given: Course, shares: Sequence[float]) -> list[Ints]:
    """The bound: the highest load of the coming window is known."""
    window = window_bins(given.shadow.cold_start_s)
    table, step = late_table(given.shadow)
    root = np.nan_to_num(targets(given.loads, np.arange(len(given.loads)), window))
    peaks = np.concatenate(([0.0], root[:-1] ** 2))
    return fewest(peaks[:, None], np.ones(1), table, step, shares)


def tuned(given: Course, asked: Sequence[Ints], among: Sequence[Candidate], costs_s: Sequence[float]) -> list[Outcome]:
    """By cost of a violation: what replay of the last four days chose, every ten minutes, followed."""
    replay = Replay(given.loads, [counts.astype(np.float64) for counts in asked], given.shadow)
    blocks = len(given.loads) // RETUNE_BINS
    late, paid_s = np.empty((len(among), blocks)), np.empty((len(among), blocks))
    for i, candidate in enumerate(among):
        late_bins, wanted = replay.course(candidate)
        late[i] = late_bins[: blocks * RETUNE_BINS].reshape(blocks, -1).sum(1)
        paid_s[i] = wanted[: blocks * RETUNE_BINS].reshape(blocks, -1).sum(1) * BIN_S
    outcomes = []
    for cost_s in costs_s:
        choice = np.repeat(chosen(cost_s * late + paid_s), RETUNE_BINS)
        choice = np.concatenate((choice, np.full(len(given.loads) - len(choice), choice[-1])))
        holds = np.array([c.hold_s for c in among])[choice]
        utilisations = np.array([c.utilisation for c in among])[choice]
        counts = np.zeros(len(given.loads), np.int64)
        for i in np.unique(choice):
            if among[i].peak_late in PEAK_LATE:
                kept = trailing(asked[PEAK_LATE.index(among[i].peak_late)], among[i].peak_hold_s)
                counts[choice == i] = kept[choice == i]
        outcomes.append(run(given, holds, utilisations, counts, cost_s))
    return outcomes


def chosen(totals: Floats) -> Ints:
    """By block of ten minutes, from the blocks before it: the candidate that is used. Shape of totals: (candidates,
    blocks)."""
    length = REPLAYED_BINS // RETUNE_BINS
    sums = np.concatenate((np.zeros((len(totals), 1)), np.cumsum(totals, 1)), 1)
    found, now = np.zeros(totals.shape[1], np.int64), 0
    for block in range(totals.shape[1]):
        if block * RETUNE_BINS >= DAY:
            past = sums[:, block] - sums[:, max(0, block - length)]
            best = int(past.argmin())
            if past[best] <= (1 - LEAST_GAIN) * past[now]:
                now = best
        found[block] = now
    return found


def off_the_clock(counts: Floats, seed: int = 7) -> Floats:
    """Each piece of two hours turned round by a time of its own: its bursts stay, their clock goes."""
    rng, length = np.random.default_rng(seed), PIECE_MIN * 60
    moved = counts.copy()
    for begin in range(0, len(counts) - length, length):
        moved[begin : begin + length] = np.roll(moved[begin : begin + length], int(rng.integers(length)))
    return moved


def cell(name: str, counts: Floats, bin_s: int, replicas: float, cold_start_s: float, quick: bool) -> dict[str, object]:
    given = course(counts, bin_s, replicas, cold_start_s)
    grid = [run(given, h, u, None, u) for h in GRID_HOLDS_S for u in GRID_UTILISATIONS]
    reactive = Envelope(grid)
    asked = asked_for(given, PEAK_LATE)
    every = candidates()
    row: dict[str, object] = {"trace": name, "bin_s": bin_s, "replicas": replicas, "cold_start_s": cold_start_s}
    on = tuned(given, asked, every, COSTS_S)
    row["on"] = fewer(Envelope(on), reactive)
    if not quick:
        off = tuned(given, asked, [c for c in every if c.peak_late == NO_FORECAST], COSTS_S)
        fixed = [
            run(given, WATCHED_HOLD_S, WATCHED_UTILISATION, trailing(counts, hold_s), late)
            for hold_s in PEAK_HOLDS_S
            for late, counts in zip(PEAK_LATE, asked, strict=True)
        ]
        known = [
            run(given, WATCHED_HOLD_S, WATCHED_UTILISATION, counts, late)
            for late, counts in zip(KNOWN_LATE, known_for(given, KNOWN_LATE), strict=True)
        ]
        row["off"] = fewer(Envelope(off), reactive)
        row["fixed_hold_hindsight"] = fewer(Envelope(fixed), reactive)
        row["known"] = fewer(Envelope(known), reactive)
        row["gap_closed"] = math.log(float(str(row["on"]))) / math.log(float(str(row["known"])))
    row["outcomes"] = [[o.target, o.violations, o.replica_hours, o.events] for o in on]
    row["reactive"] = [[o.target, o.violations, o.replica_hours, o.events] for o in reactive.outcomes]
    return row


def printed(row: dict[str, object]) -> str:
    cells = [str(row["trace"]), f"{row['bin_s']} s", f"{row['replicas']:g}", f"{row['cold_start_s']:g} s"]
    for key in ("on", "off", "fixed_hold_hindsight", "known", "gap_closed"):
        value = row.get(key)
        cells.append("–" if not isinstance(value, float) else f"{value:.0%}" if key == "gap_closed" else f"{value:.2f}")
    return "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds traces/")
    parser.add_argument("--trace", default="nasa", help="file names of the traces begin like that")
    parser.add_argument("--from-day", type=int, default=0, help="the first day that is read")
    parser.add_argument("--days", type=int, help="only so many days of a trace, the first 8 of which are not scored")
    parser.add_argument("--bins", type=int, nargs="+", default=[60, 1], help="seconds")
    parser.add_argument("--cold-starts", type=float, nargs="+", default=[10, 30, 120], help="seconds")
    parser.add_argument("--busy", type=float, nargs="+", default=[7], help="busy replicas in the busiest minute")
    parser.add_argument("--shuffled", action="store_true", help="with bursts moved off the clock")
    parser.add_argument("--quick", action="store_true", help="only forecast on against the reactive rule")
    options = parser.parse_args(arguments)
    rows: list[dict[str, object]] = []
    print(
        "| trace | bins | busy | cold start | forecast on, tuned by replay | tuned, no forecast | forecast, fixed in "
        "hindsight | future known | share of the log gap |\n|---|---|---|---|---|---|---|---|---|"
    )
    for path in sorted((options.data / "traces").glob(f"{options.trace}*")):
        arrivals = read_trace(path, EVERY_REQUEST).arrivals
        if not isinstance(arrivals, Counted):
            print(f"{path.name} is left out: it is no trace of counts.", file=sys.stderr)
            continue
        counts = np.array(arrivals.counts, np.float64)[options.from_day * 86_400 :]
        counts = counts[: options.days and options.days * 86_400]
        name = path.name.partition(".")[0]
        if options.shuffled:
            counts, name = off_the_clock(counts), f"{name}, shuffled"
        for bin_s in options.bins:
            for replicas in options.busy:
                for cold_start_s in options.cold_starts:
                    began_s = time.process_time()
                    row = cell(name, counts, bin_s, replicas, cold_start_s, options.quick)
                    row["cpu_s"] = time.process_time() - began_s
                    rows.append(row)
                    print(printed(row), flush=True)
    RESULTS.mkdir(exist_ok=True)
    moment = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    (RESULTS / f"forecast-value-{moment}.json").write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
