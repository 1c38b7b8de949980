"""The tables of docs/benchmarks-balancing.md: strategies in simulated regimes, on the same requests.

    python benchmarks/balancing.py                    # the regimes that have an aim: about an hour of processor time
    python benchmarks/balancing.py --all              # every regime and variant: several hours
    python benchmarks/balancing.py --only unequal mixed --seeds 10

`adaptive` runs as it ships, with ejection; every other strategy alone, as its source defines it, unless `:guarded`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from argosy.simulation.comparison import Comparison, Row, compare
from argosy.simulation.durations import Fixed
from argosy.simulation.plot import draw
from argosy.simulation.regime import Regime
from argosy.simulation.regimes import (
    brownout,
    bursty,
    churn,
    diurnal,
    equal,
    fast_fail,
    flash_crowd,
    hot_prefix,
    mixed,
    retry_storm,
    unequal,
)
from argosy.simulation.servers.slots import Slots
from argosy.simulation.subject import Subject

RESULTS = Path(__file__).parent / "results"
ALL = (
    "adaptive", "round_robin", "least_connections", "power_of_two", "response_time", "resource_usage", "weighted",
    "peak_ewma", "prequal", "consistent_hash",
)  # fmt: skip
NAMED = ("adaptive", "round_robin", "least_connections", "peak_ewma", "prequal")
FEW = ("adaptive", "round_robin", "least_connections", "peak_ewma")
FAILING = ("adaptive", "least_connections", "least_connections:guarded", "peak_ewma")
STORM = ("adaptive", "adaptive:alone", "least_connections:guarded", "least_connections")
BOTH = (1, 8)


@dataclass(frozen=True, slots=True)
class Case:
    title: str
    regime: Regime
    subjects: Sequence[str]
    callers: Sequence[int] = BOTH


CASES: Mapping[str, Case] = {
    "unequal": Case("14 + 2 that are 16x slower", unequal(), ALL),
    "equal": Case("4 equal, processor sharing", equal(), ALL),
    "equal_fcfs": Case("4 equal, first come first served", equal(server=Slots(1)), NAMED),
    "mixed": Case("2 of 4 at 3x", mixed(), NAMED),
    "fast_fail": Case("1 of 8 fails always", fast_fail(), FAILING, (1,)),
    "fast_fail_50": Case("1 of 8 fails half the time", fast_fail(0.5), FAILING, (1,)),
    "fast_fail_20": Case("1 of 8 fails one in five", fast_fail(0.2), FAILING, (1,)),
    "brownout": Case("two recover, another slows down", brownout(), NAMED, (1,)),
    "retry_storm": Case("a brownout and eager retries", retry_storm(), STORM, (1,)),
    "flash_crowd": Case("ten times the load for a minute", flash_crowd(), STORM, (1,)),
    "churn": Case("replicas come and go", churn(), NAMED, (1,)),
    "hot_prefix": Case("cold caches", hot_prefix(), (*NAMED, "consistent_hash"), (1,)),
    "bursty": Case("bursts", bursty(), NAMED, (1,)),
    "diurnal": Case("day and night", diurnal(), NAMED, (1,)),
    "slow_1": Case("1 slow replica of 16", unequal(slow=1), FEW, (1,)),
    "slow_4": Case("4 slow replicas of 16", unequal(slow=4), FEW, (1,)),
    "times_2": Case("2 of 16 at 2x", unequal(times=2), FEW, (1,)),
    "times_4": Case("2 of 16 at 4x", unequal(times=4), FEW, (1,)),
    "times_8": Case("2 of 16 at 8x", unequal(times=8), FEW, (1,)),
    "mean_50_ms": Case("work of 50 ms", unequal(work_mean_s=0.05), FEW, (1,)),
    "rps_100": Case("100 rps", unequal(rate_rps=100), FEW, (1,)),
    "rps_2000": Case("2,000 rps", unequal(rate_rps=2000), FEW, (1,)),
    "fixed": Case("every request takes 10 ms", replace(unequal(), work=Fixed(0.01)), FEW, (1,)),
}

AIMED = (
    "unequal", "equal", "equal_fcfs", "mixed", "fast_fail", "fast_fail_50", "fast_fail_20", "brownout", "retry_storm",
    "flash_crowd",
)  # fmt: skip


def table(name: str, case: Case, result: Comparison) -> None:
    measures = list(result.rows[0].measures)
    heads = ["strategy", "p50 ms", "p99 ms", "p99.9 ms", "p99, times the first's", "goodput/s", "failed"]
    heads += ["attempts", "slow %", *measures]
    rows = [_cells(row, result, measures) for row in result.rows]
    kept = [i for i in range(len(heads)) if any(row[i] not in ("–", "1 ± 0") for row in rows)]
    print(f"\n**{name}**, {case.title}: {case.regime.about}; {result.callers} calling, {result.seeds} seeds.\n")
    for cells in (heads, ["---"] * len(heads), *rows):
        print(f"| {' | '.join(cells[i] for i in kept)} |", flush=True)


def _cells(row: Row, result: Comparison, measures: Sequence[str]) -> list[str]:
    def figure(name: str, value: float | None, scale: float = 1) -> str:
        if value is None:
            return "–"
        low, high = row.ci95[name]
        return f"{value * scale:.4g} ± {(high - low) / 2 * scale:.2g}"

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(CASES), default=AIMED)
    parser.add_argument("--all", action="store_true", help="every case")
    parser.add_argument("--strategies", nargs="+", help="instead of the case's own")
    parser.add_argument("--callers", type=int, nargs="+", help="instead of the case's own")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--requests", type=int, help="instead of the regime's own number")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for name in CASES if given.all else given.only:
        case = CASES[name]
        regime = replace(case.regime, requests=given.requests or case.regime.requests)
        subjects = [Subject.parse(text) for text in given.strategies or case.subjects]
        for callers in given.callers or case.callers:
            result = compare(regime, subjects, callers=callers, seeds=given.seeds, jobs=given.jobs)
            table(name, case, result)
            stem = RESULTS / f"balancing-{name}-{callers}"
            stem.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(result)))
            stem.with_suffix(".svg").write_text(draw(result, regime.about), encoding="utf-8")


if __name__ == "__main__":
    main()
