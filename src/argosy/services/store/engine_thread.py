"""Single thread on which all engine calls run, searches before other waiting calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
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
        self._paused = 0
        self._held_back = 0
        """Number of other calls for which `_next` has run while only urgent calls were allowed."""

    @contextlib.asynccontextmanager
    async def only_urgent(self) -> AsyncIterator[None]:
        """Run only urgent calls while the block runs; other calls wait. The call that is running ends first."""
        paused: list[bool] = []

        def pause() -> None:
            self._pause()
            paused.append(True)

        def resume() -> None:
            if paused:
                self._resume()

        try:
            await self.run(pause)
            yield
        finally:
            # Not by `run`: a caller that is cancelled here, or while its pause begins, must not leave the pause behind.
            self._pool.submit(resume)

    def _pause(self) -> None:
        self._paused += 1

    def _resume(self) -> None:
        self._paused -= 1
        if self._paused == 0:
            waiting, self._held_back = self._held_back, 0
            for _ in range(waiting):
                self._pool.submit(self._next)

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
        if self._paused and not self._urgent:
            self._held_back += 1
            return
        if self._urgent and (self._in_a_row < IN_A_ROW or self._paused or not self._others):
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
