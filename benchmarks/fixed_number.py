"""Comparison of the fixed number that a running fleet recommends with the least that the simulator finds sufficient.

    python -m benchmarks.fixed_number --data DIR

The table has a row per cell of the scaling benchmark: the number that `argosy scale` would recommend, from ticks of 15
s and a capacity model that knows the service, and the late requests that the simulator counts with that number. The
model is given and not fitted: a running fleet that has never seen a full replica knows less and recommends more.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that the file can be run by its path

import numpy as np

from argosy.config.scaling import ScalingSettings, SloSettings
from argosy.control.history.arrays import Floats
from argosy.control.history.measures import TICK_S
from argosy.control.observation import Capacity
from argosy.control.planning.fixed import LEAST_RECORDED_S, Ticks, fixed_enough
from argosy.control.scaling.decision import Rule
from argosy.simulation.scaling.autoscaler import World
from argosy.simulation.scaling.contenders import CONTENDERS
from argosy.simulation.scaling.report import LATE
from argosy.simulation.scaling.run import simulate
from argosy.simulation.scaling.sweep import world
from benchmarks._scaling_cells import CASES, STEADY

STATIC = CONTENDERS["static"]


def rates(given: World) -> Floats:
    """Return the requests per second in each whole tick of the load, repeated until a day is full."""
    arrived = given.load.arrived
    ticks: Floats = arrived[: len(arrived) // TICK_S * TICK_S].reshape(-1, TICK_S).mean(1)
    return np.tile(ticks, -(-LEAST_RECORDED_S // (len(ticks) * TICK_S)))


def recommended(given: World) -> int | None:
    service, rate = given.service, rates(given)
    slo = SloSettings(share=1 - LATE, latency_ms=None if service.slo_s is None else service.slo_s * 1000)
    rule = Rule(given.min_replicas, given.max_replicas, ScalingSettings(slots=service.slots), slo)
    capacity = Capacity(service.mean_s, service.slots, service_cv2=service.cv2)
    ran = np.full(len(rate), 2.0 * given.max_replicas)
    found = fixed_enough(Ticks(rate, rate * service.mean_s / service.slots / ran, ran, ran), rule, capacity)
    return None if found is None else found.replicas


def late(given: World, replicas: int) -> float:
    return simulate(given, STATIC.make(given, replicas), replicas, replicas).violations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with traces/; nothing is measured without it")
    given = parser.parse_args()
    if given.data is None:
        print("Nothing is measured: give --data DIR, a folder that holds traces/.", file=sys.stderr)
        return
    print(
        "| trace | service | busy | recommended | late with it | least that is enough |",
        "|---|---|---|---|---|---|",
        sep="\n",
    )
    for case in CASES.values():
        if case.cold_start_s != 30 or case.trace == STEADY:
            continue  # a fixed number starts no replicas, so the cold start has no effect
        circumstances = world(case.cell(given.data), 0, forecast=False)
        number = recommended(circumstances)
        least = next(n for n in range(1, case.cell(given.data).max_replicas + 1) if late(circumstances, n) <= LATE)
        told = "none" if number is None else f"{number}"
        share = "–" if number is None else f"{100 * late(circumstances, number):.2f} %"
        print(f"| {case.trace} | `{case.service}` | {case.busy} | {told} | {share} | {least} |", flush=True)


if __name__ == "__main__":
    main()
