"""Single thread on which all engine calls run, searches before other waiting calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

R = TypeVar("R")
IN_A_ROW = 16
"""Most consecutive searches while other calls wait; then one other call runs, so that none waits for ever."""


class EngineThread:
    """Thread of the engine. Urgent calls and other calls each run in the order of their arrival."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._urgent: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._others: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._in_a_row = 0

    async def run(self, work: Callable[[], R], *, urgent: bool = False) -> R:
        """Return the result of `work`. A call whose caller is cancelled before it starts is skipped."""
        waiting: Future[R] = Future()
        (self._urgent if urgent else self._others).append((waiting, work))
        self._pool.submit(self._next)
        return await asyncio.wrap_future(waiting)

    def close(self) -> None:
        """Wait for the queued calls, then end the thread."""
        self._pool.shutdown()

    def _next(self) -> None:
        """Run the next queued call. This runs on the engine's thread, once for each queued call."""
        if self._urgent and (self._in_a_row < IN_A_ROW or not self._others):
            self._in_a_row += 1
            waiting, work = self._urgent.popleft()
        else:
            self._in_a_row = 0
            waiting, work = self._others.popleft()
        if not waiting.set_running_or_notify_cancel():
            return
        try:
            waiting.set_result(work())
        except BaseException as error:
            waiting.set_exception(error)
