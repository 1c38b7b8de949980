"""Group commit: calls that arrive while others run wait and are then executed together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Overloaded, StorageFull, Unavailable

A = TypeVar("A")
R = TypeVar("R")

_SHARED = (Unavailable, Overloaded, StorageFull, DeadlineExceeded)
"""Errors that no single member causes, so repeating the members one by one would not help."""


def _one(item: object) -> int:
    return 1


class Grouped(Generic[A, R]):
    """Executor of single calls in groups, in the order of their arrival.

    While fewer than `at_once` groups run, a call starts at once. Otherwise callers share the next group, which starts
    when a running group ends or when it is full. A single caller is therefore not delayed (unless groups linger), and
    the cost per call falls with the number of waiting callers. A cancelled caller leaves its group, which continues. A
    group that fails as a whole is repeated member by member, so that a bad member fails alone; `work` must therefore be
    repeatable.
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
        """Create an executor. `work` returns one outcome per item, in order; an exception fails only its own item.

        A group is closed before its `size` exceeds `most`; a larger item forms its own group. Up to `full_at_once` full
        groups may run at the same time. A group that is not full waits `linger_s` for further calls, which is meant for
        bulk work whose calls cost more than the wait.
        """
        self._work = work
        self._most = most
        self._size = size
        self._at_once = at_once
        self._full_at_once = at_once if full_at_once is None else full_at_once
        self._waiting: deque[tuple[A, asyncio.Future[R]]] = deque()
        self._linger_s = linger_s
        self._gathered = 0
        """Total size of the waiting items."""
        self._leading = 0
        self._leaders: set[asyncio.Task[None]] = set()

    async def __call__(self, item: A) -> R:
        """Return the outcome of this item. Raises: the error of this item or of its group."""
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, outcome))
        self._gathered += self._size(item)
        if self._leading < (self._full_at_once if self._gathered >= self._most else self._at_once):
            self._leading += 1  # `_lead` decrements it, because done callbacks of a task run only later
            leader = asyncio.create_task(self._lead())
            self._leaders.add(leader)
            leader.add_done_callback(self._leaders.discard)
        return await outcome

    async def stop(self) -> None:
        """Cancel running groups and all waiting callers."""
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
        """Return the next group; empty when no caller waits."""
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
            if not outcome.done():  # a done outcome means that its caller was cancelled
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
    """Return a copy of the exception for one task: sharing an exception between tasks would mix their tracebacks."""
    if isinstance(error, ArgosyError):
        return type(error)(error.message, param=error.param, retry_after_s=error.retry_after_s)
    return error
