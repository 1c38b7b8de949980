"""Requests that only wait for a change: long polls and followed streams. They are bounded but not in flight."""

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
"""Most waiters that answer at once during a drain, so that they do not cause a burst of load."""


class Waiters:
    """Waiting requests of one process."""

    def __init__(self, most: int, where: str, setting: str = "") -> None:
        """Create an empty set; the refusal mentions `where` requests wait and the `setting` that raises the limit."""
        self.most = most
        self.count = 0
        self.ending = asyncio.Event()
        """Set when the process drains; waiters then answer with the data that they have."""
        self._last_answers = asyncio.Semaphore(LAST_ANSWERS_AT_ONCE)
        self._where = where
        self._setting = setting

    def enter(self) -> None:
        """Add a waiter; call `leave` once for each. Raises: Overloaded when the limit is reached."""
        if self.count >= self.most:
            raise Overloaded(
                f"{self.most} requests already wait at the {self._where}, its limit. Try again after the time in "
                f"Retry-After{f', or raise {self._setting}' if self._setting else ''}.",
                retry_after_s=RETRY_AFTER_S,
            )
        self.count += 1

    def leave(self) -> None:
        self.count -= 1

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Add a waiter for the duration of the block. Raises: Overloaded when the limit is reached."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def end(self) -> None:
        """Let all waiters answer now, and later ones at once."""
        self.ending.set()

    async def pause(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the process drains."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ending.wait()

    async def unless_ending(self, work: Awaitable[R], instead: Callable[[], Awaitable[S]]) -> R | S:
        """Return the result of `work`; when the process drains, cancel `work` and return the result of `instead`."""
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
