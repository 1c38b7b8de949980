"""Event loop with virtual time: when there is no work left, its time jumps to the next timer."""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

THREADS_S = 0.0005
"""Real time that threads of the code under test get before each jump: they know nothing of virtual time."""


class VirtualLoop(asyncio.SelectorEventLoop):
    now_s = 1000.0
    _timer_cancelled_count: int
    _ready: Any
    _scheduled: list[Any]

    def __init__(self) -> None:
        super().__init__()
        self._in_threads = 0

    def time(self) -> float:
        return self.now_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Run in a thread; until the result is here, time does not jump."""
        self._in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._left_thread)
        return future

    def _left_thread(self, future: object) -> None:
        self._in_threads -= 1

    def _run_once(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(self._scheduled)._scheduled = False
        if not self._ready and self._scheduled and not self._in_threads:
            if threading.active_count() > 1:
                time.sleep(THREADS_S)
            self.now_s = max(self.now_s, self._scheduled[0]._when)
        super()._run_once()  # type: ignore[misc]


def clock() -> float:
    """Return the time of the running loop. Pass this function as a clock."""
    return asyncio.get_running_loop().time()


def run_virtually(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


async def until(true: Callable[[], object], within_s: float = 600.0) -> None:
    """Wait, in virtual time, until `true()` is true."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.5)
