"""Tables of docs/benchmarks-balancing.md: strategies in simulated regimes, on the same requests.

    python -m benchmarks.balancing run --seeds 10 --jobs 2   # continues where it was stopped
    python -m benchmarks.balancing run --only unequal mixed --callers 1
    python -m benchmarks.balancing report                    # tables and pictures of the finished runs
    python -m benchmarks.balancing aims                      # aims of adaptive: met or missed

`run` keeps every single run in benchmarks/results/balancing/. It does not notice changes of the code under test: delete
the results after a change. `adaptive` runs as it ships, with ejection; every other strategy runs alone, as its source
defines it, unless `:guarded`. One run takes 3 to 15 s of processor time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its path

from argosy.simulation.balancing.comparison import Comparison, StrategyRow, compared
from argosy.simulation.balancing.plot import draw
from argosy.simulation.balancing.run import run
from argosy.simulation.balancing.subject import Subject
from argosy.simulation.balancing.summary import summarize
from benchmarks._balancing_aims import print_aims
from benchmarks._balancing_cases import CASES, Case
from benchmarks._balancing_cells import FOLDER, Cell, Cells, Key


def simulate(case: str, key: Key) -> Cell:
    regime = replace(CASES[case].regime, requests=key.requests)
    return Cell.of(key, summarize(regime, run(regime, Subject.parse(key.subject), key.seed, key.callers)))


def missing(given: argparse.Namespace) -> Iterator[tuple[str, Key]]:
    """Yield the runs that are missing, case after case and seed after seed."""
    for name in given.only:
        case, known = CASES[name], Cells(name)
        requests = given.requests or case.regime.requests
        for seed in range(given.seeds):
            for callers in given.callers or case.callers:
                for subject in case.subjects:
                    key = Key(subject, callers, seed, requests)
                    wanted = (not given.strategies or subject in given.strategies) and subject not in given.without
                    if wanted and key not in known:
                        yield name, key


def run_missing(given: argparse.Namespace) -> None:
    todo = list(missing(given))
    with ProcessPoolExecutor(given.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(simulate, case, key): case for case, key in todo}
        for done, future in enumerate(as_completed(running), start=1):
            cell = future.result()
            Cells(running[future]).add(cell)
            print(f"{done}/{len(todo)} {running[future]} {cell.key} p99 {cell.figures['p99_ms']}", flush=True)


def table(name: str, case: Case, result: Comparison) -> None:
    measures = list(result.rows[0].measures)
    heads = ["strategy", "p50 ms", "p99 ms", "p99.9 ms", "p99, times the first's", "goodput/s", "failed"]
    heads += ["attempts", "slow %", *measures]
    rows = [_cells(row, result, measures) for row in result.rows]
    idle = {"attempts": ("–", "1")}
    kept = [i for i, head in enumerate(heads) if any(row[i] not in idle.get(head, ("–",)) for row in rows)]
    calling = "1 caller" if result.callers == 1 else f"{result.callers} callers"
    runs = f"{calling}, {result.seeds} × {result.requests:,} requests"
    print(f"\n**{name}**, {case.title}: {case.regime.about}; {runs}.\n")
    for cells in (heads, ["---"] * len(heads), *rows):
        print(f"| {' | '.join(cells[i] for i in kept)} |", flush=True)


def _cells(row: StrategyRow, result: Comparison, measures: Sequence[str]) -> list[str]:
    def figure(name: str, value: float | None, scale: float = 1) -> str:
        if value is None:
            return "–"
        low, high = row.ci95[name]
        half = f" ± {(high - low) / 2 * scale:.2g}" if result.seeds > 1 and high > low else ""
        return f"{value * scale:.4g}{half}"

    ratio = result.versus.get(row.strategy)
    if ratio is None:
        versus = "1" if row is result.rows[0] else "not compared"
    else:
        low, high = result.versus_ci95[row.strategy]
        versus = f"{ratio:.3g} ({low:.3g}–{high:.3g})"
    return [
        f"`{row.strategy}`" + ("" if row.stable else ", **unstable**"),
        figure("p50_ms", row.p50_ms),
        figure("p99_ms", row.p99_ms),
        figure("p999_ms", row.p999_ms),
        versus,
        figure("goodput", row.goodput),
        figure("failed", row.failed) if row.failed else "0",
        figure("attempts", row.attempts),
        figure("slow_share", row.slow_share, 100),
        *(figure(name, row.measures[name]) for name in measures),
    ]


def report(given: argparse.Namespace) -> None:
    for name in given.only:
        case, known = CASES[name], Cells(name)
        regime = replace(case.regime, requests=given.requests or case.regime.requests)
        for callers in given.callers or case.callers:
            stem = f"balancing-{name}-{callers}"
            for subjects in _by_seeds(case, known, callers, regime.requests, given.seeds):
                result = compared(regime, known.paired(subjects, callers, regime.requests, given.seeds), callers)
                table(name, case, result)
                (given.pictures / f"{stem}.svg").write_text(draw(result, regime.about), encoding="utf-8")
                stem += "-more"


def _by_seeds(case: Case, known: Cells, callers: int, requests: int, seeds: int) -> list[list[str]]:
    """Return groups of subjects with the same number of seeds, each with the subject that they are compared with."""
    done = {s: len(known.seeds(s, callers, requests, seeds)) for s in case.subjects}
    first = case.subjects[0]
    counts = sorted({count for subject, count in done.items() if count and subject != first}, reverse=True)
    groups = [[s for s in case.subjects if done[s] == count and s != first] for count in counts]
    return [[first, *group] if done[first] else group for group in groups]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("run", "report", "aims"), help="default: all three")
    parser.add_argument("--only", nargs="+", choices=tuple(CASES), default=tuple(CASES))
    parser.add_argument("--strategies", nargs="+", default=(), help="run only these of the case's strategies")
    parser.add_argument("--without", nargs="+", default=(), help="leave out these of the case's strategies")
    parser.add_argument("--callers", type=int, nargs="+", help="numbers of callers, in place of the case's")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--requests", type=int, help="number of requests, in place of the regime's")
    parser.add_argument("--pictures", type=Path, default=FOLDER, help="folder for the pictures")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.what in (None, "run"):
        run_missing(given)
    if given.what in (None, "report"):
        report(given)
    if given.what in (None, "aims"):
        print_aims(given.seeds, given.requests)


if __name__ == "__main__":
    main()
