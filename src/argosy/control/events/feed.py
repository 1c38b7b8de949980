"""Feed of transitions. Parts that decide append to it; people and tools read it. Bounded, and kept over restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from argosy.contracts.events import Event, EventPage
from argosy.control.history.history import History
from argosy.telemetry.logs import logger

log = logger("events")


class Feed:
    """Feed of one fleet's transitions, stored in its history."""

    def __init__(self, history: History, wall: Callable[[], float] = time.time) -> None:
        self._history = history
        self._wall = wall
        self._seq = history.last_seq()
        self._grown = asyncio.Event()

    def add(self, kind: str, subject: str, before: str, after: str, why: str = "") -> None:
        """Append a transition. Never raises, because a full disk must not stop the controller from acting."""
        self._seq += 1
        event = Event(self._seq, self._wall(), kind, subject, before, after, why)
        log.info("transition", kind=kind, subject=subject, before=before, after=after, why=why)
        try:
            self._history.append([event])
        except Exception as error:
            log.error("event not stored", reason=str(error))
        self._grown.set()
        self._grown = asyncio.Event()

    def page(self, since: int, limit: int, subject: str | None = None) -> EventPage:
        """Return at most `limit` events after `since`, oldest first; only those of the service or replica `subject`."""
        seen = self._seq
        events = self._history.events(since, limit, subject)
        return EventPage(events, events[-1].seq if len(events) == limit else max(since, seen))

    async def wait_beyond(self, seq: int, timeout_s: float) -> bool:
        """Wait for an event after `seq`. Returns: whether there is one within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._seq <= seq:
                    await self._grown.wait()
        except TimeoutError:
            return False
        return True
