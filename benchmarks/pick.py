"""Cost of a pick: median microseconds of processor time for a pick and its end, by strategy and replicas.

`python benchmarks/pick.py` prints a Markdown table; `--only adaptive peak_ewma` chooses strategies. Strategies take
turns, round by round, so that other work on the machine affects all of them alike; time that the process waited for a
processor does not count. Every pick is as callers make it: with ejection, among replicas that have answered before,
with a load report on every answer and four requests in flight. `--poorly` ejects one replica and makes another one
slow, so that no check can be skipped.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import deque
from collections.abc import Sequence

from argosy.balancing.balancer import Balancer
from argosy.balancing.lease import Lease
from argosy.balancing.outcome import LoadReport, OutcomeKind
from argosy.balancing.strategy import PickRequest
from argosy.balancing.table import STRATEGIES
from argosy.contracts.fleet import Endpoint

REPLICAS = (4, 16, 64, 256)
ROUNDS = 9
PICKS = 400
IN_FLIGHT = 4
PERIOD_S = 0.002
"""Virtual time between two picks."""
LATENCY_S = 0.01
SLOW_S = 0.16
REPORT = LoadReport(
    rif=2.0,
    latency_ms=10.0,
    cpu_utilization=0.4,
    mem_utilization=0.3,
    application_utilization=0.4,
    queued=0.0,
    rps=50.0,
)


class Bench:
    """Benchmark of one strategy with a number of replicas, warmed up. Its clock advances only between picks."""

    def __init__(self, strategy: str, replicas: int, poorly: bool) -> None:
        self._now_s = 0.0
        self._bad = "r0" if poorly else ""
        self._slow = "r1" if poorly else ""
        self._open: deque[Lease] = deque()
        self._balancer = Balancer("store", strategy, clock=lambda: self._now_s, rng=random.Random(1))
        self._balancer.update([Endpoint(f"r{n}", f"http://r{n}") for n in range(replicas)])
        self._requests = [PickRequest(key=f"key {n}") for n in range(64)]
        for n in range(max(PICKS, 10 * replicas)):
            self._step(n)

    def round_us(self) -> float:
        """Return the mean processor time of a pick over PICKS picks."""
        began_s = time.thread_time()
        for n in range(PICKS):
            self._step(n)
        return (time.thread_time() - began_s) / PICKS * 1e6

    def _step(self, n: int) -> None:
        self._now_s += PERIOD_S
        self._open.append(self._balancer.pick(self._requests[n % 64]))
        self._balancer.due_probes()
        if len(self._open) > IN_FLIGHT:
            lease = self._open.popleft()
            replica_id = lease.endpoint.id
            kind = OutcomeKind.ERROR if replica_id == self._bad else OutcomeKind.OK
            lease.end(kind, REPORT, SLOW_S if replica_id == self._slow else LATENCY_S)


def main(strategies: Sequence[str], poorly: bool) -> None:
    heads = ["strategy", *(f"{replicas} replicas, µs" for replicas in REPLICAS)]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    benches = {name: [Bench(name, replicas, poorly) for replicas in REPLICAS] for name in strategies}
    rounds = [{name: [b.round_us() for b in of] for name, of in benches.items()} for _ in range(ROUNDS)]
    for name in strategies:
        medians = [statistics.median(one[name][column] for one in rounds) for column in range(len(REPLICAS))]
        print(f"| `{name}` | {' | '.join(f'{median:.1f}' for median in medians)} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sorted(STRATEGIES), default=sorted(STRATEGIES), metavar="STRATEGY")
    parser.add_argument("--poorly", action="store_true", help="eject one replica and slow down another")
    given = parser.parse_args()
    main(given.only, given.poorly)
