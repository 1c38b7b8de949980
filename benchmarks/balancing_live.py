"""Tail latency behind Argosy, nginx `least_conn` and HAProxy `leastconn`, in front of the same real backends.

`python benchmarks/balancing_live.py` prints two Markdown tables and takes about eight minutes. nginx and HAProxy are
Debian's: `apt-get install nginx-light haproxy`. A missing one is reported and left out.

The backends are eight processes that wait instead of computing: one has an eighth of the others' slots, another is
stopped for 200 ms in every second. Each proxy is started anew for every measurement. All proxies take turns, and within
a round all get the same arrivals and work.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.simulation.bootstrap import ratio_interval
from benchmarks._live_backend import Running, running
from benchmarks._live_load import Outcome, Plan, load
from benchmarks._live_proxies import INSTALL, Start, argosy, executable, haproxy, nginx

SLOTS = (8, 8, 8, 1, 8, 8, 8, 8)
STOPPED = 5
STOPPED_S, PERIOD_S = 0.2, 1.0
WORK_MS, SIGMA = 10.0, 0.35
WARM_S = 2.0
HOP_RATE, HOP_S, HOP_WARM_S = 150.0, 2.5, 0.5
DIRECT = "no proxy"
OURS = "Argosy"
AIM = 3.0
"""Least ratio of the p99 of other proxies to that of Argosy."""


@dataclass(frozen=True, slots=True)
class Subject:
    name: str
    start: Start
    reports: bool = False
    """Whether the backends' answers carry a load report."""
    program: str | None = None
    """Program that has to be installed."""
    variant: bool = False
    """Whether this is a variant of another subject.

    A variant runs at the first rate only, and its added latency is not measured.
    """


SUBJECTS = (
    Subject("nginx `least_conn`", nginx, program="nginx"),
    Subject("HAProxy `leastconn`", haproxy, program="haproxy"),
    Subject(OURS, argosy(hedging=True)),
    Subject("Argosy, backends with load reports", argosy(hedging=True), reports=True, variant=True),
    Subject("Argosy without hedging", argosy(hedging=False), variant=True),
)


@dataclass(slots=True)
class Tail:
    """Measurements of one subject at one rate, one figure per round."""

    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    attempts: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    failed: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    """Latencies of all rounds."""

    def add(self, outcome: Outcome, attempts: int, cpu_s: float) -> None:
        self.p50_ms.append(float(np.quantile(outcome.latencies_ms, 0.5)))
        self.p99_ms.append(float(np.quantile(outcome.latencies_ms, 0.99)))
        self.attempts.append(attempts / outcome.requests)
        self.cpu_ms.append(cpu_s * 1000 / outcome.requests)
        self.late_ms.append(outcome.sent_late_ms)
        self.failed += outcome.failed
        self.latencies_ms += outcome.latencies_ms


@dataclass(slots=True)
class Hop:
    """Latency through one subject, or without a proxy, to backends that answer at once, one figure per round."""

    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)

    def measure(self, urls: Sequence[str], seed: int) -> None:
        outcome = load(Plan([f"{url}/now" for url in urls], HOP_RATE, HOP_S, HOP_WARM_S, seed))
        self.p50_ms.append(float(np.quantile(outcome.latencies_ms, 0.5)))
        self.p99_ms.append(float(np.quantile(outcome.latencies_ms, 0.99)))


class Seen:
    """All measurements, by the subject's name."""

    def __init__(self, subjects: Sequence[Subject], rates: Sequence[float]) -> None:
        first = rates[0]
        self.tails = {rate: {s.name: Tail() for s in subjects if rate == first or not s.variant} for rate in rates}
        self.hops = {DIRECT: Hop(), **{subject.name: Hop() for subject in subjects if not subject.variant}}


@contextmanager
def stopped_now_and_then(pid: int) -> Iterator[None]:
    """Stop the process for the first STOPPED_S of every PERIOD_S, until the block is left."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            over.wait(STOPPED_S)
            os.kill(pid, signal.SIGCONT)
            over.wait(PERIOD_S - STOPPED_S)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def measure(subject: Subject, backends: Sequence[Running], requests: int, seed: int, seen: Seen) -> None:
    with subject.start([backend.url for backend in backends]) as front:
        if subject.name in seen.hops:
            seen.hops[subject.name].measure([front.url], seed)
        for rate, tails in seen.tails.items():
            if subject.name not in tails:
                continue
            for backend in backends:
                backend.control(reports=subject.reports)
            before_s = front.cpu_s()
            plan = Plan([f"{front.url}/work"], rate, WARM_S + requests / rate, WARM_S, seed, WORK_MS, SIGMA)
            with stopped_now_and_then(backends[STOPPED].process.pid):
                outcome = load(plan)
            cpu_s = front.cpu_s() - before_s
            tail = tails[subject.name]
            tail.add(outcome, sum(backend.control(reports=False) for backend in backends), cpu_s)
            told = (
                f"{subject.name}, {rate:g}/s: p99 {tail.p99_ms[-1]:.1f} ms, generator late {outcome.sent_late_ms:.1f}"
            )
            print(told, file=sys.stderr, flush=True)


def installed(wanted: Sequence[str]) -> list[Subject]:
    there = []
    for subject in SUBJECTS:
        if wanted and subject.name.split()[0].strip(",").lower() not in wanted:
            continue
        if subject.program is None or executable(subject.program):
            there.append(subject)
        else:
            print(f"{subject.program} is not installed and is left out; on Debian: {INSTALL}\n")
    return there


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for cells in (heads, ["---"] * len(heads), *rows):
        print(f"| {' | '.join(cells)} |", flush=True)


def tail_row(name: str, tail: Tail, ours: Tail | None) -> list[str]:
    versus = "1"
    if ours is not None and ours is not tail:
        low, high = ratio_interval(tail.p99_ms, ours.p99_ms)
        versus = f"{statistics.mean(tail.p99_ms) / statistics.mean(ours.p99_ms):.2f} ({low:.2f}–{high:.2f})"
    return [
        name,
        f"{statistics.mean(tail.p50_ms):.1f}",
        f"{statistics.mean(tail.p99_ms):.1f} ({min(tail.p99_ms):.0f}–{max(tail.p99_ms):.0f})",
        f"{np.quantile(tail.latencies_ms, 0.999):.0f}",
        versus,
        f"{statistics.mean(tail.attempts):.3f}",
        f"{statistics.mean(tail.cpu_ms):.2f}",
        str(tail.failed),
    ]


def aims(tails: Mapping[str, Tail]) -> Iterator[str]:
    """Yield the verdict of each aim.

    An aim is met only when the whole interval reaches it, and missed only when the whole interval is below.
    """
    for name, tail in tails.items():
        if OURS in tails and not name.startswith(OURS):
            low, high = ratio_interval(tail.p99_ms, tails[OURS].p99_ms)
            verdict = "met" if low >= AIM else "missed" if high < AIM else "within the interval, so open"
            yield f"{name}: at least {AIM:g} times Argosy's p99 was the aim: {verdict} ({low:.2f}–{high:.2f})."


def hop_row(name: str, hop: Hop, direct: Hop) -> list[str]:
    p50_ms, p99_ms = statistics.median(hop.p50_ms), statistics.median(hop.p99_ms)
    added = [p50_ms - statistics.median(direct.p50_ms), p99_ms - statistics.median(direct.p99_ms)]
    shown = ["–", "–"] if hop is direct else [f"{ms:+.2f}" for ms in added]
    return [name, f"{p50_ms:.2f}", f"{p99_ms:.2f}", *shown]


def report(seen: Seen, rounds: int, requests: int) -> None:
    heads = ["in front", "p50 ms", "p99 ms", "p99.9 ms", "p99, times Argosy's", "attempts", "CPU ms", "failed"]
    for rate, tails in seen.tails.items():
        print(f"\n{rate:g} requests/s, {rounds} rounds of {requests} requests, work {WORK_MS:g} ms, σ {SIGMA:g}:\n")
        table(heads, [tail_row(name, tail, tails.get(OURS)) for name, tail in tails.items()])
        print("", *aims(tails), sep="\n")
    print("\nNone disturbed and no work, so what a hop adds:\n")
    heads = ["in front", "p50 ms", "p99 ms", "added, p50", "added, p99"]
    table(heads, [hop_row(name, hop, seen.hops[DIRECT]) for name, hop in seen.hops.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=600, help="counted requests of each measurement")
    parser.add_argument("--rates", type=float, nargs="+", default=(60.0, 200.0), help="requests per second")
    parser.add_argument("--only", nargs="+", default=(), choices=("nginx", "haproxy", "argosy"))
    parser.add_argument("--seed", type=int, default=1, help="seed of the first round")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the exit also ends the started processes
    subjects = installed(given.only)
    seen = Seen(subjects, given.rates)
    with running(SLOTS) as backends:
        for number in range(given.rounds):
            seed, first = given.seed + number, number % len(subjects)
            seen.hops[DIRECT].measure([backend.url for backend in backends], seed)
            for subject in (*subjects[first:], *subjects[:first]):
                measure(subject, backends, given.requests, seed, seen)
    report(seen, given.rounds, given.requests)


if __name__ == "__main__":
    main()
