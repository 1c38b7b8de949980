"""Server with `slots` workers that serves first come, first served. Its queue may be bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from argosy.simulation.servers.kernel import Kernel
from argosy.simulation.servers.server import J
from argosy.simulation.servers.speed import Speed


class SlotServer(Generic[J]):
    __slots__ = ("_drops_abandoned", "_finished", "_kernel", "_queue", "_queue_limit", "_slots", "_speed", "busy")

    def __init__(self, kernel: Kernel, speed: Speed, finished: Callable[[J], None], model: Slots) -> None:
        self._kernel = kernel
        self._speed = speed
        self._finished = finished
        self._slots = model.slots
        self._queue_limit = model.queue_limit
        self._drops_abandoned = model.drops_abandoned
        self._queue: deque[J] = deque()
        self.busy = 0

    @property
    def queued(self) -> int:
        return len(self._queue)

    def submit(self, job: J) -> bool:
        if self.busy < self._slots:
            self._start(job)
        elif self._queue_limit is None or len(self._queue) < self._queue_limit:
            self._queue.append(job)
        else:
            return False
        return True

    def _start(self, job: J) -> None:
        self.busy += 1
        kernel = self._kernel
        kernel.at(self._speed.finish_s(kernel.now_s, job.work_s), self._end, job)

    def _end(self, job: J) -> None:
        self.busy -= 1
        queue = self._queue
        while queue and self.busy < self._slots:
            following = queue.popleft()
            if following.abandoned and self._drops_abandoned:
                self._finished(following)
            else:
                self._start(following)
        self._finished(job)


@dataclass(frozen=True, slots=True)
class Slots:
    slots: int = 1
    queue_limit: int | None = None
    """Number of jobs that may wait; None means any number."""
    drops_abandoned: bool = False
    """Whether abandoned work is dropped when its turn comes instead of being done."""

    @property
    def parallel(self) -> float:
        return float(self.slots)

    def unprotected(self) -> Slots:
        return Slots(self.slots)

    def build(self, kernel: Kernel, speed: Speed, finished: Callable[[J], None]) -> SlotServer[J]:
        return SlotServer(kernel, speed, finished, self)
