"""Requests that only wait for a change: long polls and followed streams. They are bounded, and they are no work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from argosy.contracts.errors import Overloaded

R = TypeVar("R")
S = TypeVar("S")
RETRY_AFTER_S = 2.0
LAST_ANSWERS_AT_ONCE = 16
"""When a drain lets all waiters answer, so many of them do at once: they must not become a burst of work."""


class Waiters:
    """All of one process."""

    def __init__(self, most: int, where: str, setting: str = "") -> None:
        """`where` and `setting` stand in the refusal: what is full, and what raises its limit."""
        self.most = most
        self.count = 0
        self.ending = asyncio.Event()
        """Set once the process drains; whoever waits answers with what there is."""
        self._last_answers = asyncio.Semaphore(LAST_ANSWERS_AT_ONCE)
        self._where = where
        self._setting = setting

    def enter(self) -> None:
        """Count one in; `leave` once for each. Raises: Overloaded."""
        if self.count >= self.most:
            raise Overloaded(
                f"{self.most} requests wait at the {self._where} already, its limit. Try again after the time in "
                f"Retry-After{f', or raise {self._setting}' if self._setting else ''}.",
                retry_after_s=RETRY_AFTER_S,
            )
        self.count += 1

    def leave(self) -> None:
        self.count -= 1

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count one in for the length of the block. Raises: Overloaded."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def end(self) -> None:
        """Let all waiters answer now, and those that come later at once."""
        self.ending.set()

    async def pause(self, seconds: float) -> None:
        """Sleep for so long; less once the process drains."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ending.wait()

    async def unless_ending(self, work: Awaitable[R], instead: Callable[[], Awaitable[S]]) -> R | S:
        """Return what `work` gives; once the process drains, `work` is cancelled and `instead` gives the answer."""
        task = asyncio.ensure_future(work)
        ending = asyncio.ensure_future(self.ending.wait())
        try:
            await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            async with self._last_answers:
                return await instead()
        finally:
            task.cancel()
            ending.cancel()
