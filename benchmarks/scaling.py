"""Tables of docs/benchmarks-scaling.md: scaling policies on recorded load, cost against violations.

    python -m benchmarks.scaling run --data DIR --seeds 5    # continues where it was stopped
    python -m benchmarks.scaling run --data DIR --only code-generation-7-10 --policies predictive hpa_cpu
    python -m benchmarks.scaling report                      # tables and pictures of the finished runs
    python -m benchmarks.scaling aims                        # aims of predictive: met or missed

`run` reads DIR/traces and keeps every sweep in benchmarks/results/scaling/. It does not notice changes of the code
under test: delete the results after a change, or use `run --again --policies predictive`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its path

from argosy.simulation.scaling.contenders import CONTENDERS
from argosy.simulation.scaling.sweep import swept, world
from benchmarks._scaling_aims import print_aims
from benchmarks._scaling_cells import CASES, FOLDER, STEADY, Case, Key, Sweep, Sweeps
from benchmarks._scaling_report import print_case, print_cells, write_picture


def missing(given: argparse.Namespace) -> Iterator[tuple[Case, Key]]:
    """Yield the sweeps that are missing, case after case and seed after seed."""
    for name in given.only:
        if given.data is None and CASES[name].trace != STEADY:
            continue
        known = Sweeps(name)
        for seed in range(given.since, given.seeds):
            for policy in given.policies:
                key = Key(policy, seed)
                if given.again or key not in known:
                    yield CASES[name], key


def run_missing(given: argparse.Namespace) -> None:
    for case, key in missing(given):
        began_s = time.process_time()
        # Without forecast and tuning, which need days of history: forecast_value.py measures what those add.
        circumstances = world(case.cell(given.data), key.seed, forecast=False)
        Sweeps(case.name).add(Sweep(key, swept(CONTENDERS[key.policy], circumstances)))
        print(f"{case.name} {key.policy} seed {key.seed}: {time.process_time() - began_s:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("run", "report", "aims"), help="default: all three")
    parser.add_argument("--data", type=Path, help="folder with traces/; default: steady load only")
    parser.add_argument("--only", nargs="+", choices=tuple(CASES), default=tuple(CASES), metavar="CASE")
    parser.add_argument("--policies", nargs="+", choices=tuple(CONTENDERS), default=tuple(CONTENDERS))
    parser.add_argument("--since", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--again", action="store_true", help="also repeat finished runs")
    parser.add_argument("--points", action="store_true", help="report every point of the curves too")
    parser.add_argument("--pictures", type=Path, default=FOLDER, help="folder for the pictures")
    given = parser.parse_args()
    chosen = [CASES[name] for name in given.only]
    if given.what in (None, "run"):
        run_missing(given)
    if given.what in (None, "report"):
        print_cells(chosen, given.seeds)
        for case in chosen:
            if given.points:
                print_case(case, given.seeds)
            write_picture(case, given.seeds, given.pictures)
    if given.what in (None, "aims"):
        print_aims(given.seeds)


if __name__ == "__main__":
    main()
