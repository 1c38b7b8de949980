"""A second copy of a read, sent beside the first when that is late. Whichever answers first ends the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

R = TypeVar("R")


class Hedge(Generic[R]):
    """For the time of the block in which the first copy runs; nothing of it outlives the block.

    The first runs in the caller's own task, under a timeout that the second copy brings forward when it has the
    answer: a call that is not late pays for one timer and no task.
    """

    def __init__(self, after_s: float, may: Callable[[], bool], send: Callable[[], Coroutine[None, None, R]]) -> None:
        """`may` is asked once it is due; `send` asks another replica."""
        self._after_s = after_s
        self._may = may
        self._send = send
        self._first: asyncio.Timeout | None = None
        self._task: asyncio.Task[R] | None = None

    async def __aenter__(self) -> Hedge[R]:
        self._timer = asyncio.get_running_loop().call_later(self._after_s, self._begin)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.settle()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    def watch(self, first: asyncio.Timeout) -> None:
        self._first = first

    def settle(self) -> None:
        """The first copy has ended: it is neither doubled nor broken off any more."""
        self._timer.cancel()
        self._first = None

    @property
    def sent(self) -> bool:
        return self._task is not None

    @property
    def won(self) -> bool:
        """Whether the second copy has an answer."""
        task = self._task
        return task is not None and task.done() and not task.cancelled() and task.exception() is None

    async def result(self) -> R:
        """The second copy's answer, waited for. Raises: what it raised."""
        assert self._task is not None
        return await self._task

    def _begin(self) -> None:
        if self._first is not None and self._may():
            self._task = asyncio.create_task(self._send())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[R]) -> None:
        # Asking for the exception also says that somebody has seen it.
        if not task.cancelled() and task.exception() is None and self._first is not None:
            self._first.reschedule(asyncio.get_running_loop().time())
            self._first = None
