"""Hedging: copies of a read, of which the second is sent when the first is late. The first answer counts.

The losing copy runs on for a while: it still counts as in flight, its answer shows how slow its replica is, and a
missing answer shows that the replica hangs. If it were cancelled at once, its replica would look idle and be picked
again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Generic, TypeVar

from argosy.balancing.lease import Lease
from argosy.balancing.outcome import OutcomeKind
from argosy.contracts.errors import ArgosyError, Overloaded

R = TypeVar("R")
LEAST_PATIENCE_S = 1.0
PATIENCE_FACTOR = 20.0
"""Multiple of the hedge delay after which the losing replica counts as timed out, since another one answered."""


class HedgeCopy(Generic[R]):
    """One copy of a call, in its own task. `stack` holds the resources that it opened, including its lease."""

    def __init__(self, lease: Lease, stack: contextlib.AsyncExitStack, run: Coroutine[None, None, R]) -> None:
        self.lease = lease
        self.stack = stack
        self.task = asyncio.create_task(run)

    @property
    def conclusive(self) -> bool:
        """Whether the copy ended as on any other replica: with an answer, or with an error that the caller caused."""
        error = self.error if self.task.done() else asyncio.CancelledError()
        refused = isinstance(error, ArgosyError) and error.status < 500 and not isinstance(error, Overloaded)
        return error is None or refused

    @property
    def error(self) -> BaseException | None:
        """Error of a copy that has ended; None when it has an answer."""
        return asyncio.CancelledError() if self.task.cancelled() else self.task.exception()

    async def drop(self) -> None:
        """Cancel the copy if it has not ended, and close its resources. May be called again after a cancellation."""
        async with self.stack:
            self.lease.end(OutcomeKind.CANCELLED)
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


async def best(copies: Sequence[HedgeCopy[R]]) -> HedgeCopy[R] | None:
    """Wait for the first conclusive copy and return it; None when all failed."""
    while True:
        found = next((copy for copy in copies if copy.conclusive), None)
        pending = {copy.task for copy in copies if not copy.task.done()}
        if found is not None or not pending:
            return found
        await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)


class Losers:
    """Copies that no caller waits for, each watched by a task that no caller can cancel."""

    def __init__(self, least_patience_s: float = LEAST_PATIENCE_S) -> None:
        self._least_patience_s = least_patience_s
        self._left: dict[asyncio.Task[None], Callable[[], Awaitable[None]]] = {}

    def leave(self, copy: HedgeCopy[R], after_s: float) -> None:
        """Let the copy run to its end. `after_s` is the delay after which the other copy was sent."""
        self._keep(copy, _watch(copy, max(self._least_patience_s, PATIENCE_FACTOR * after_s)))

    def break_off(self, copy: HedgeCopy[R]) -> None:
        """End the lease now and close the copy's resources in the background."""
        copy.lease.end(OutcomeKind.CANCELLED)
        copy.task.cancel()
        self._keep(copy, _close(copy))

    def _keep(self, copy: HedgeCopy[R], care: Coroutine[None, None, None]) -> None:
        caring = asyncio.create_task(care)
        self._left[caring] = copy.drop
        caring.add_done_callback(self._left.pop)

    async def drop(self) -> None:
        """Cancel all copies and close their resources."""
        left = dict(self._left)
        for watching in left:
            watching.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for drop in left.values():  # a watching task that was cancelled before its start has closed nothing
            await drop()


async def _watch(copy: HedgeCopy[R], patience_s: float) -> None:
    try:
        await asyncio.wait({copy.task}, timeout=patience_s)
        if not copy.task.done():
            copy.lease.end(OutcomeKind.TIMEOUT)
        elif copy.error is not None:
            copy.lease.end_by(copy.error)
        else:
            copy.lease.end(copy.lease.answer or OutcomeKind.OK)
    finally:
        await _close(copy)


async def _close(copy: HedgeCopy[R]) -> None:
    with contextlib.suppress(Exception):  # a connection may break while it is closed, and no caller needs this error
        await copy.drop()
