"""Server of unlimited concurrency, for replicas that mostly wait: each job takes its own time, whatever else runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from argosy.simulation.servers.kernel import Kernel
from argosy.simulation.servers.server import J
from argosy.simulation.servers.speed import Speed


class DelayServer(Generic[J]):
    __slots__ = ("_finished", "_kernel", "_speed", "busy", "queued")

    def __init__(self, kernel: Kernel, speed: Speed, finished: Callable[[J], None]) -> None:
        self._kernel = kernel
        self._speed = speed
        self._finished = finished
        self.busy = 0
        self.queued = 0

    def submit(self, job: J) -> bool:
        self.busy += 1
        kernel = self._kernel
        kernel.at(self._speed.finish_s(kernel.now_s, job.work_s), self._end, job)
        return True

    def _end(self, job: J) -> None:
        self.busy -= 1
        self._finished(job)


@dataclass(frozen=True, slots=True)
class Delay:
    @property
    def parallel(self) -> float:
        return math.inf

    def unprotected(self) -> Delay:
        return self

    def build(self, kernel: Kernel, speed: Speed, finished: Callable[[J], None]) -> DelayServer[J]:
        return DelayServer(kernel, speed, finished)
