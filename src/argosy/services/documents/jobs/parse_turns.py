"""Places for parsing and chunking. Senders take turns, so slow documents of one sender do not block other senders.

When a document has used up its turn and another sender waits, the document moves to the overtime place and continues
there. If the overtime place is taken, the document gives way: it is parsed again later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
OVERTIME_PLACES = 1
"""Number of extra places for documents that exceed their turn."""
LOOK_S = 1.0
"""Pause between two checks whether another sender waits."""

OthersWait = Callable[[], Awaitable[bool]]


class GaveWay(Exception):
    """The document gave its place to another sender and must be parsed again later."""


class ParseTurns:
    def __init__(self, places: int, turn_s: float) -> None:
        self.turn_s = turn_s
        self.look_s = min(LOOK_S, turn_s)
        self._free = places
        self._overtime = OVERTIME_PLACES
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @contextlib.asynccontextmanager
    async def place(self, sender: str) -> AsyncIterator[ParsePlace]:
        """Wait for a place and hold it for the block.

        The sender with the fewest places is next; among equals, the sender that has waited longest.
        """
        await self._enter(sender)
        place = ParsePlace(self, sender)
        try:
            yield place
        finally:
            if place.in_overtime:
                self._overtime += 1
            else:
                self.leave(sender)

    def another_waits(self, sender: str) -> bool:
        return any(other != sender for other in self._waiting)

    def take_overtime(self, sender: str) -> bool:
        """Move a sender's document to the overtime place. Returns: whether that place was free."""
        if not self._overtime:
            return False
        self._overtime -= 1
        self.leave(sender)
        return True

    def leave(self, sender: str) -> None:
        self._held[sender] -= 1
        self._held += Counter()  # removes senders without places
        self._free += 1
        while self._free and self._waiting:
            # Senders are in the order in which they began to wait, so `min` takes the first among equals.
            following = min(self._waiting, key=self._held.__getitem__)
            queue = self._waiting.pop(following)
            future = queue.popleft()
            if queue:
                self._waiting[following] = queue  # at the end of the order
            if not future.done():
                self._hold(following)
                future.set_result(None)

    async def _enter(self, sender: str) -> None:
        if self._free:
            self._hold(sender)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(sender, deque()).append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.leave(sender)
            else:
                self._forget(sender, future)
            raise

    def _forget(self, sender: str, future: asyncio.Future[None]) -> None:
        queue = self._waiting.get(sender, deque())
        with contextlib.suppress(ValueError):  # `leave` may have removed it meanwhile
            queue.remove(future)
        if not queue:
            self._waiting.pop(sender, None)

    def _hold(self, sender: str) -> None:
        self._free -= 1
        self._held[sender] += 1


class ParsePlace:
    def __init__(self, reading: ParseTurns, sender: str) -> None:
        self._turns = reading
        self._sender = sender
        self.in_overtime = False

    async def run(self, work: Awaitable[T], others_wait: OthersWait) -> T:
        """Run work that may be cancelled and started again, and return its result.

        `others_wait` returns whether other senders have jobs that are due but not yet claimed.

        Raises: GaveWay when the work was cancelled for another sender; the errors of the work.
        """
        task = asyncio.ensure_future(work)
        pause_s = self._turns.turn_s
        try:
            while not (await asyncio.wait({task}, timeout=pause_s))[0]:
                pause_s = self._turns.look_s
                if self.in_overtime or not (self._turns.another_waits(self._sender) or await others_wait()):
                    continue
                self.in_overtime = self._turns.take_overtime(self._sender)
                if not self.in_overtime:
                    raise GaveWay
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
