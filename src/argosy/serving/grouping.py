"""Group commit: calls that arrive while others are carried out wait, and are then carried out together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Overloaded, StorageFull, Unavailable

A = TypeVar("A")
R = TypeVar("R")

_SHARED = (Unavailable, Overloaded, StorageFull, DeadlineExceeded)
"""Errors that say nothing about a single member: doing the others one by one would only repeat them."""


def _one(item: object) -> int:
    return 1


class Grouped(Generic[A, R]):
    """Carry out single calls in groups, in the order of their arrival.

    While fewer than `at_once` groups are under way a call starts at once; else callers gather and share the next group,
    which starts when one of those ends, or when it is full. So a lone caller waits for nobody (unless groups linger),
    and the more wait, the less each one costs. A caller that is cancelled leaves; its group
    goes on. A group that fails as a whole is repeated one by one, so that one bad member fails alone; `work` must
    therefore bear to be repeated.
    """

    def __init__(
        self,
        work: Callable[[Sequence[A]], Awaitable[Sequence[R | Exception]]],
        *,
        most: int,
        size: Callable[[A], int] = _one,
        at_once: int = 1,
        full_at_once: int | None = None,
        linger_s: float = 0.0,
    ) -> None:
        """`work` answers with one outcome for each item, in order; an exception among them fails that item alone.

        A group is closed before its `size` exceeds `most`; one larger item goes alone. Groups that are full may run
        up to `full_at_once` at the same time. A group that is not full waits `linger_s` for others: for bulk work,
        whose calls cost more than the wait does.
        """
        self._work = work
        self._most = most
        self._size = size
        self._at_once = at_once
        self._full_at_once = at_once if full_at_once is None else full_at_once
        self._waiting: deque[tuple[A, asyncio.Future[R]]] = deque()
        self._linger_s = linger_s
        self._gathered = 0
        """Size of all that waits."""
        self._leading = 0
        self._leaders: set[asyncio.Task[None]] = set()

    async def __call__(self, item: A) -> R:
        """Return the outcome of this item. Raises: its own error, or that of its group."""
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome))
        self._gathered += self._size(item)
        if self._leading < (self._full_at_once if self._gathered >= self._most else self._at_once):
            self._leading += 1  # counted here and in `_lead`: a task that has ended is told of only later
            leader = asyncio.create_task(self._lead())
            self._leaders.add(leader)
            leader.add_done_callback(self._leaders.discard)
        return await outcome

    async def stop(self) -> None:
        """Cancel what is under way; callers that still wait are cancelled too."""
        for leader in list(self._leaders):
            leader.cancel()
        await asyncio.gather(*self._leaders, return_exceptions=True)
        while self._waiting:
            self._waiting.popleft()[1].cancel()

    async def _lead(self) -> None:
        try:
            while group := await self._gather():
                try:
                    await self._settle(group)
                except BaseException:
                    for _, outcome in group:
                        outcome.cancel()
                    raise
        finally:
            self._leading -= 1

    async def _gather(self) -> list[tuple[A, asyncio.Future[R]]]:
        """The next group, empty when nobody waits."""
        if self._linger_s and self._waiting and self._gathered < self._most:
            await asyncio.sleep(self._linger_s)
        return self._take()

    def _take(self) -> list[tuple[A, asyncio.Future[R]]]:
        group: list[tuple[A, asyncio.Future[R]]] = []
        total = 0
        while self._waiting:
            item, outcome = self._waiting[0]
            size = self._size(item)
            if group and total + size > self._most and not outcome.done():
                break
            self._waiting.popleft()
            self._gathered -= size
            if not outcome.done():  # else its caller was cancelled
                group.append((item, outcome))
                total += size
        return group

    async def _settle(self, group: list[tuple[A, asyncio.Future[R]]]) -> None:
        try:
            outcomes = await self._work([item for item, _ in group])
        except Exception as error:
            if len(group) > 1 and not isinstance(error, _SHARED):
                for member in group:
                    if not member[1].done():
                        await self._settle([member])
                return
            outcomes = [_copy(error) for _ in group] if len(group) > 1 else [error]
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


def _copy(error: Exception) -> Exception:
    """One exception for each waiting task: raised in several tasks, the same one would mix up their tracebacks."""
    if isinstance(error, ArgosyError):
        return type(error)(error.message, param=error.param, retry_after_s=error.retry_after_s)
    return error
