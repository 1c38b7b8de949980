"""Documents of one chunk each: how many a second, what each costs, and how long searches take meanwhile."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._corpus import Corpus
from benchmarks._processes import TICKS_PER_S, fleet_cpu_s, fleet_processes
from benchmarks._running import Caller, RunningFleet

DOCUMENTS = {"fake": 2000, "onnx": 500}
WARM_UP = 128
SEARCH_EVERY_S = 0.02
IDLE_SEARCHES = 200
WORDS = ("first", "people", "place", "after", "number")

Send = Callable[[Caller, dict[str, str]], list[str]]
Wait = Callable[[Caller, Sequence[str]], list[Any]]
Alone = Callable[[RunningFleet, Sequence[str]], float]
"""Seconds that the embedding service takes for these texts when nobody else asks it."""


@dataclass(frozen=True, slots=True)
class Small:
    """One measured run with one engine."""

    engine: str
    documents: int
    wall_s: float
    cpu_ms: dict[str, float]
    """Per document, by service; parsers that ended meanwhile count for the documents service."""
    alone_per_s: float
    idle_ms: list[float]
    busy_ms: list[float]

    @property
    def per_s(self) -> float:
        return self.documents / self.wall_s

    @property
    def share(self) -> float:
        return self.per_s / self.alone_per_s


def passages(seed: int, count: int) -> dict[str, str]:
    """Texts of 50 to 70 words by name: each is one chunk."""
    return {f"{seed}-{number}.txt": text for number, text in enumerate(Corpus(seed).passages(count))}


def measure(folder: Path, engine: str, upload: Send, wait: Wait, alone: Alone) -> Small:
    """Run the benchmark. Searches are timed in a run of their own, since they cost processor time too."""
    count = DOCUMENTS[engine]
    with RunningFleet(folder / engine, "--set", f"services.embedding.backend={engine}") as fleet:
        caller = fleet.caller()
        wait(caller, upload(caller, passages(1, WARM_UP)))
        alone_s = alone(fleet, list(passages(2, count).values()))
        before, began_s = _cpu_s(fleet), time.perf_counter()
        views = wait(caller, upload(caller, passages(3, count)))
        wall_s, after = time.perf_counter() - began_s, _cpu_s(fleet)
        chunks = sum(document["chunks"] for view in views for document in view["documents"])
        if chunks != count:
            raise SystemExit(f"{count} documents became {chunks} chunks")
        idle_ms = [_search_ms(caller, number) for number in range(IDLE_SEARCHES)]
        with _searching(fleet) as busy_ms:
            wait(caller, upload(caller, passages(4, count)))
        cpu_ms = {name: 1000 * (after[name] - before.get(name, 0.0)) / count for name in after}
        return Small(engine, count, wall_s, cpu_ms, count / alone_s, idle_ms, busy_ms)


def report(runs: Sequence[Small]) -> None:
    print("\nDocuments of one chunk\n")
    print("| engine | documents | a second | embedding alone, a second | share | CPU ms a document: all | by service |")
    print("|---|---|---|---|---|---|---|")
    for run in runs:
        parts = ", ".join(f"{name} {ms:.1f}" for name, ms in sorted(run.cpu_ms.items()) if ms >= 0.05)
        print(
            f"| {run.engine} | {run.documents} | {run.per_s:.0f} | {run.alone_per_s:.0f} | {run.share:.0%} "
            f"| {sum(run.cpu_ms.values()):.1f} | {parts} |"
        )
    print("\nSearches by words, one at a time, while such documents are ingested\n")
    print("| engine | idle p50 ms | p99 | during ingestion p50 ms | p99 | longest |\n|---|---|---|---|---|---|")
    for run in runs:
        idle, busy = sorted(run.idle_ms), sorted(run.busy_ms)
        print(
            f"| {run.engine} | {statistics.median(idle):.1f} | {_p99(idle):.1f} | {statistics.median(busy):.1f} "
            f"| {_p99(busy):.1f} | {busy[-1]:.1f} |",
            flush=True,
        )


def _cpu_s(fleet: RunningFleet) -> dict[str, float]:
    """Processor seconds by service, ended parsers included."""
    processes = fleet_processes(fleet.data_dir)
    seconds: dict[str, float] = {}
    for name, spent_s in fleet_cpu_s(processes).items():
        service = name.split("-")[0].split(" ")[0]
        seconds[service] = seconds.get(service, 0.0) + spent_s
    for pid, name in processes.items():
        if name.startswith("documents") and not name.endswith("helper"):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds["documents"] += (int(fields[13]) + int(fields[14])) / TICKS_PER_S
    return seconds


@contextmanager
def _searching(fleet: RunningFleet) -> Iterator[list[float]]:
    """Return the times of searches that go on meanwhile."""
    spent_ms: list[float] = []
    ending = threading.Event()

    def search() -> None:
        caller, number = fleet.caller(), 0
        while not ending.wait(SEARCH_EVERY_S):
            spent_ms.append(_search_ms(caller, number))
            number += 1

    searcher = threading.Thread(target=search)
    searcher.start()
    try:
        yield spent_ms
    finally:
        ending.set()
        searcher.join()


def _search_ms(caller: Caller, number: int) -> float:
    message = {"query": f"{WORDS[number % len(WORDS)]} of the water", "mode": "lexical"}
    began_s = time.perf_counter()
    status, answer = caller.call("POST", "/v1/search", message)
    spent_ms = 1000 * (time.perf_counter() - began_s)
    if status != 200:
        raise SystemExit(f"a search was answered {status}: {answer}")
    return spent_ms


def _p99(ordered: Sequence[float]) -> float:
    return ordered[-1 - len(ordered) // 100]
