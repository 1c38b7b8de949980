"""Cells of the scaling benchmark (trace, service, size, cold start), and their finished runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from argosy.simulation.loads.traces import read_trace
from argosy.simulation.scaling.demand import demand, steady
from argosy.simulation.scaling.run import RunResult
from argosy.simulation.scaling.service import SERVICES
from argosy.simulation.scaling.sweep import Cell, busy
from benchmarks._journal import Journal

FOLDER = Path(__file__).parent / "results" / "scaling"
MOST = {7: 20, 28: 80}
"""Maximum number of replicas, by the number that the busiest minute keeps busy."""
COLD_STARTS_S = (10, 2, 30, 120)
SHORT_COLD_STARTS_S = (2, 10, 30)
"""Cold starts that the aims cover."""
STEADY_S = 4 * 3600
EVERY_REQUEST = 10**9


@dataclass(frozen=True, slots=True)
class Source:
    file: str
    title: str
    since_s: int = 0


SOURCES: Mapping[str, Source] = {
    "code": Source("azure_llm_2023_code.csv", "Azure code trace, 1 h"),
    "nasa": Source("nasa_1995_rps_58d_workload.tbz2", "NASA web trace, 48 h after its first week", 7 * 86_400),
    "conversation": Source("mooncake_conversation_trace.jsonl.gz", "Mooncake conversation trace, 1 h"),
}
STEADY = "steady"


@dataclass(frozen=True, slots=True)
class Case:
    trace: str
    service: str
    busy: int
    cold_start_s: int

    @property
    def name(self) -> str:
        return f"{self.trace}-{self.service}-{self.busy}-{self.cold_start_s}"

    @property
    def about(self) -> str:
        title = SOURCES[self.trace].title if self.trace in SOURCES else "steady Poisson, 4 h"
        return f"{title}, {self.service}, {self.busy} busy replicas at the peak, cold start {self.cold_start_s} s"

    def cell(self, data: Path | None) -> Cell:
        """Return the simulated cell. `data` may be None for steady load."""
        return _cell(self, data)


@lru_cache(maxsize=1)
def _cell(case: Case, data: Path | None) -> Cell:
    service = SERVICES[case.service]
    if case.trace == STEADY or data is None:
        load = steady(1.0, STEADY_S)
    else:
        source = SOURCES[case.trace]
        trace = read_trace(data / "traces" / source.file, EVERY_REQUEST)
        service = service.measured(trace.written)
        load = demand(trace, since_s=source.since_s)
    return Cell(busy(load, service, case.busy), service, case.cold_start_s, 1, MOST[case.busy])


def cases() -> Iterator[Case]:
    """Yield the cases, the most informative ones first."""
    for sources, services in (
        (("code",), tuple(SERVICES)),
        (("nasa",), ("generation",)),
        (("nasa",), ("embedding",)),
        (("conversation",), tuple(SERVICES)),
    ):
        for trace in sources:
            for size in MOST:
                for service in services:
                    for cold_start_s in COLD_STARTS_S:
                        yield Case(trace, service, size, cold_start_s)
    for cold_start_s in (10, 30):
        yield Case(STEADY, "generation", 7, cold_start_s)


CASES: Mapping[str, Case] = {case.name: case for case in cases()}


class Key(msgspec.Struct, frozen=True):
    policy: str
    seed: int


class Sweep(msgspec.Struct, frozen=True):
    """Outcomes of one policy over its targets, with one seed."""

    key: Key
    outcomes: list[RunResult]


class Sweeps(Journal[Sweep]):
    """Finished sweeps of one case."""

    def __init__(self, case: str) -> None:
        super().__init__(FOLDER / f"{case}.jsonl", Sweep)

    def runs(self, policy: str, seeds: int) -> list[list[RunResult]]:
        """Return the outcomes for the seeds 0, 1, … up to the first missing one."""
        found = []
        for seed in range(seeds):
            key = Key(policy, seed)
            if key not in self:
                break
            found.append(self[key].outcomes)
        return found
