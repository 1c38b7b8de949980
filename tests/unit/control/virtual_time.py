"""Event loop with virtual time: when there is no work left, its time jumps to the next timer."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    now_s = 1000.0
    _timer_cancelled_count: int
    _ready: Any
    _scheduled: list[Any]

    def time(self) -> float:
        return self.now_s

    def _run_once(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(self._scheduled)._scheduled = False
        if not self._ready and self._scheduled:
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
            await asyncio.sleep(0.25)
