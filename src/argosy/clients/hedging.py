"""Copies of a read, sent beside each other when the first is late. Whichever answers first counts.

The one that lost is left to its end for a while: so it keeps counting as in flight, its answer says how slow its
replica is, and one that never comes says that the replica hangs. Broken off at once, it would leave behind a replica
that looks idle and is asked again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Generic, TypeVar

from argosy.balancing.lease import Lease
from argosy.balancing.outcome import Kind
from argosy.contracts.errors import ArgosyError, Overloaded

R = TypeVar("R")
LEAST_PATIENCE_S = 1.0
PATIENCE_FACTOR = 20.0
"""Times the delay of the hedge: a replica that takes longer, when another one answered, has failed."""


class Copy(Generic[R]):
    """One of them, in a task of its own. `stack` holds what it opened, its lease too."""

    def __init__(self, lease: Lease, stack: contextlib.AsyncExitStack, run: Coroutine[None, None, R]) -> None:
        self.lease = lease
        self.stack = stack
        self.task = asyncio.create_task(run)

    @property
    def conclusive(self) -> bool:
        """Whether it has ended with what another replica would say, too: an answer, or that the caller is wrong."""
        error = self.error if self.task.done() else asyncio.CancelledError()
        refused = isinstance(error, ArgosyError) and error.status < 500 and not isinstance(error, Overloaded)
        return error is None or refused

    @property
    def error(self) -> BaseException | None:
        """Of one that has ended; None when it has an answer."""
        return asyncio.CancelledError() if self.task.cancelled() else self.task.exception()

    async def drop(self) -> None:
        """Break it off, if it has not ended, and close what it opened. It may be called again after a cancellation."""
        async with self.stack:
            self.lease.end(Kind.CANCELLED)
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


async def best(copies: Sequence[Copy[R]]) -> Copy[R] | None:
    """The first that is conclusive; None when all have failed."""
    while True:
        found = next((copy for copy in copies if copy.conclusive), None)
        pending = {copy.task for copy in copies if not copy.task.done()}
        if found is not None or not pending:
            return found
        await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)


class Losers:
    """Copies that nobody waits for any more, each in the care of a task that no caller can cancel."""

    def __init__(self, least_patience_s: float = LEAST_PATIENCE_S) -> None:
        self._least_patience_s = least_patience_s
        self._left: dict[asyncio.Task[None], Callable[[], Awaitable[None]]] = {}

    def leave(self, copy: Copy[R], after_s: float) -> None:
        """Let it come to its end. `after_s` is the delay after which the other copy was sent."""
        self._keep(copy, _watch(copy, max(self._least_patience_s, PATIENCE_FACTOR * after_s)))

    def break_off(self, copy: Copy[R]) -> None:
        """End its lease now; what it opened is closed in the background."""
        copy.lease.end(Kind.CANCELLED)
        copy.task.cancel()
        self._keep(copy, _close(copy))

    def _keep(self, copy: Copy[R], care: Coroutine[None, None, None]) -> None:
        caring = asyncio.create_task(care)
        self._left[caring] = copy.drop
        caring.add_done_callback(self._left.pop)

    async def drop(self) -> None:
        """Breaks off all of them."""
        left = dict(self._left)
        for watching in left:
            watching.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for drop in left.values():  # a task that is cancelled before it began has done nothing
            await drop()


async def _watch(copy: Copy[R], patience_s: float) -> None:
    try:
        await asyncio.wait({copy.task}, timeout=patience_s)
        if not copy.task.done():
            copy.lease.end(Kind.TIMEOUT)
        elif copy.error is not None:
            copy.lease.end_by(copy.error)
        else:
            copy.lease.end(copy.lease.answer or Kind.OK)
    finally:
        await _close(copy)


async def _close(copy: Copy[R]) -> None:
    with contextlib.suppress(Exception):  # a connection may break while it is closed, and nobody is left to tell
        await copy.drop()
