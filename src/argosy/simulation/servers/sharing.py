"""Processor sharing: n jobs on `cores` cores, each at the speed min(1, cores / n).

Attained service is the same for all jobs that are present, so one number, the virtual time, represents all of them: a
job is done when the virtual time has grown by its work. Jobs wait in a heap ordered by that virtual time, and a change
in their number updates one number and not every job, so an event costs O(log n).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from argosy.simulation.servers.kernel import Kernel
from argosy.simulation.servers.server import J
from argosy.simulation.servers.speed import Speed

ROUNDING_S = 1e-9
"""Remaining work below this counts as done, because sums of floats are never exactly equal."""


class SharingServer(Generic[J]):
    __slots__ = (
        "_armed_s", "_attained_s", "_cores", "_factor", "_finished", "_jobs", "_kernel", "_order", "_rate", "_since_s",
    )  # fmt: skip

    def __init__(self, kernel: Kernel, speed: Speed, finished: Callable[[J], None], cores: int) -> None:
        self._kernel = kernel
        self._finished = finished
        self._cores = cores
        self._factor = speed.factors[0]
        self._rate = self._factor
        self._attained_s = 0.0
        self._since_s = kernel.now_s
        self._armed_s = math.inf
        self._jobs: list[tuple[float, int, J]] = []
        self._order = itertools.count()
        for when_s, factor in speed.changes:
            kernel.at(when_s, self._change, factor)

    @property
    def busy(self) -> int:
        return min(len(self._jobs), self._cores)

    @property
    def queued(self) -> int:
        return max(0, len(self._jobs) - self._cores)

    def submit(self, job: J) -> bool:
        self._advance()
        heapq.heappush(self._jobs, (self._attained_s + job.work_s, next(self._order), job))
        self._share()
        return True

    def _advance(self) -> None:
        now_s = self._kernel.now_s
        self._attained_s += (now_s - self._since_s) * self._rate
        self._since_s = now_s

    def _share(self) -> None:
        """Set the rate for the present number of jobs, and schedule a wake-up no later than the next end.

        An arrival only delays the next end unless the new job is itself the next, so a scheduled wake-up stays: it
        comes too early, finds nothing and schedules another. This saves an event for nearly every arrival.
        """
        jobs = self._jobs
        count = len(jobs)
        self._rate = self._factor if count <= self._cores else self._factor * self._cores / count
        if count:
            next_s = self._since_s + (jobs[0][0] - self._attained_s) / self._rate
            if next_s < self._armed_s:
                self._armed_s = next_s
                self._kernel.at(next_s, self._wake, next_s)

    def _wake(self, armed_s: float) -> None:
        if armed_s != self._armed_s:
            return  # an earlier wake-up was scheduled after this one
        self._armed_s = math.inf
        self._advance()
        jobs, done = self._jobs, []
        reached_s = self._attained_s + ROUNDING_S
        while jobs and jobs[0][0] <= reached_s:
            done.append(heapq.heappop(jobs)[2])
        self._share()
        for job in done:
            self._finished(job)

    def _change(self, factor: float) -> None:
        self._advance()
        self._factor = factor
        self._armed_s = math.inf
        self._share()


@dataclass(frozen=True, slots=True)
class Sharing:
    cores: int = 1

    @property
    def parallel(self) -> float:
        return float(self.cores)

    def unprotected(self) -> Sharing:
        return self

    def build(self, kernel: Kernel, speed: Speed, finished: Callable[[J], None]) -> SharingServer[J]:
        return SharingServer(kernel, speed, finished, self.cores)
