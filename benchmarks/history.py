"""Cost of the controller's history: the size of a full `control.db`, and the time of a tick.

`python benchmarks/history.py` takes a minute. Ninety days are recorded through `Series.record`, as the controller does:
the first 87 as means of five minutes, the last three in ticks of 15 s, all series at once. Loads of 5 s of each service
for seven days are added, as in a fleet. Values are random, so that nothing is small by chance.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from argosy.control.history.measures import COARSE_S, MEASURES, TICK_S
from argosy.control.history.series import DAY_S, Series
from argosy.control.prediction.peak.analogue import BIN_S

AIM_MB = 100
SERVICES = 6
BEGUN_S = 1_700_000_000 // COARSE_S * COARSE_S
FINE_DAYS, DAYS, LOAD_DAYS = 3, 90, 7


def filled(folder: Path, replicas: int) -> list[float]:
    """Record the history and return the seconds of each tick of 15 s."""
    rng, series = np.random.default_rng(0), Series(folder)
    names = [f"work/work-{n + 1}/{measure}" for n in range(replicas) for measure in MEASURES]
    loads = [f"service-{n}/load" for n in range(SERVICES)]
    end_s = BEGUN_S + DAYS * DAY_S
    for step_s, days, until_s, what in (
        (COARSE_S, DAYS - FINE_DAYS, end_s - FINE_DAYS * DAY_S, names),
        (BIN_S, LOAD_DAYS, end_s, loads),
    ):
        for number in range((until_s - days * DAY_S) // step_s, until_s // step_s):
            series.record(step_s, number, dict(zip(what, rng.random(len(what)).tolist(), strict=True)))
    took_s = []
    for number in range((end_s - FINE_DAYS * DAY_S) // TICK_S, end_s // TICK_S):
        values = dict(zip(names, rng.random(len(names)).tolist(), strict=True))
        began_s = time.perf_counter()
        series.record(TICK_S, number, values)
        took_s.append(time.perf_counter() - began_s)
    series.close()
    return took_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=20)
    replicas = parser.parse_args().replicas
    with tempfile.TemporaryDirectory() as folder:
        took_ms = np.array(filled(Path(folder), replicas)) * 1000
        size_mb = sum(file.stat().st_size for file in Path(folder).glob("control.db*")) / 1e6
    print("| figure | measured | aim |\n|---|---|---|")
    print(f"| {replicas} replicas × {len(MEASURES)} series, 90 days | {size_mb:.0f} MB | ≤ {AIM_MB} MB |")
    p50, p99, most = (float(np.percentile(took_ms, q)) for q in (50, 99, 100))
    print(f"| a tick of 15 s, p50 / p99 / most | {p50:.1f} / {p99:.1f} / {most:.0f} ms | |")
    return 0 if size_mb <= AIM_MB else 1


if __name__ == "__main__":
    sys.exit(main())
