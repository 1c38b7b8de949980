"""Places in which documents are parsed and chunked. Senders take turns: a sender whose documents take long does not
keep another one's from being read.

A document that has had its turn while another sender's waits moves to the one place for long work, where it goes on.
Where that place is taken, it gives way: it is read again later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
OVERTIME_PLACES = 1
"""For long work, beside the others."""
LOOK_S = 1.0
"""Between two looks whether another sender waits."""

OthersWait = Callable[[], Awaitable[bool]]


class GaveWay(Exception):
    """The document made room for another sender's and is to be read again later."""


class Reading:
    def __init__(self, places: int, turn_s: float) -> None:
        self.turn_s = turn_s
        self.look_s = min(LOOK_S, turn_s)
        self._free = places
        self._overtime = OVERTIME_PLACES
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @contextlib.asynccontextmanager
    async def place(self, sender: str) -> AsyncIterator[Place]:
        """A place to read in. The sender who holds the fewest is next, and of several who waits longest."""
        await self._enter(sender)
        place = Place(self, sender)
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
        """Move a sender's document to the place for long work. Returns: whether that was free."""
        if not self._overtime:
            return False
        self._overtime -= 1
        self.leave(sender)
        return True

    def leave(self, sender: str) -> None:
        self._held[sender] -= 1
        self._held += Counter()  # drops those who hold none
        self._free += 1
        while self._free and self._waiting:
            # Senders stand in the order in which they began to wait, so that the first of several is taken.
            following = min(self._waiting, key=self._held.__getitem__)
            queue = self._waiting.pop(following)
            future = queue.popleft()
            if queue:
                self._waiting[following] = queue  # behind the others
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
        with contextlib.suppress(ValueError):  # `leave` may have come across it meanwhile
            queue.remove(future)
        if not queue:
            self._waiting.pop(sender, None)

    def _hold(self, sender: str) -> None:
        self._free -= 1
        self._held[sender] += 1


class Place:
    def __init__(self, reading: Reading, sender: str) -> None:
        self._reading = reading
        self._sender = sender
        self.in_overtime = False

    async def run(self, work: Awaitable[T], others_wait: OthersWait) -> T:
        """The result of work that may be cancelled and begun anew. `others_wait` tells of senders who wait elsewhere.

        Raises: GaveWay; what the work raises.
        """
        task = asyncio.ensure_future(work)
        pause_s = self._reading.turn_s
        try:
            while not (await asyncio.wait({task}, timeout=pause_s))[0]:
                pause_s = self._reading.look_s
                if self.in_overtime or not (self._reading.another_waits(self._sender) or await others_wait()):
                    continue
                self.in_overtime = self._reading.take_overtime(self._sender)
                if not self.in_overtime:
                    raise GaveWay
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
