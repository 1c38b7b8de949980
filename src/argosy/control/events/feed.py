"""The feed of transitions: appended to by whoever decides, read by people and tools, bounded, kept over restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from argosy.contracts.events import Event, EventPage
from argosy.control.history.history import History
from argosy.telemetry.logs import logger

log = logger("events")


class Feed:
    def __init__(self, history: History, wall: Callable[[], float] = time.time) -> None:
        self._history = history
        self._wall = wall
        self._seq = history.last_seq()
        self._grown = asyncio.Event()

    def add(self, kind: str, subject: str, before: str, after: str, why: str = "") -> None:
        """Never raises: a full disk must not stop the controller from acting."""
        self._seq += 1
        event = Event(self._seq, self._wall(), kind, subject, before, after, why)
        log.info("transition", kind=kind, subject=subject, before=before, after=after, why=why)
        try:
            self._history.append([event])
        except Exception as error:
            log.error("event not kept", reason=str(error))
        self._grown.set()
        self._grown = asyncio.Event()

    def page(self, since: int, limit: int, subject: str | None = None) -> EventPage:
        """Oldest first, those after `since`; of one service or replica with `subject`."""
        seen = self._seq
        events = self._history.events(since, limit, subject)
        return EventPage(events, events[-1].seq if len(events) == limit else max(since, seen))

    async def wait_beyond(self, seq: int, timeout_s: float) -> bool:
        """Whether there is anything after `seq` before the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._seq <= seq:
                    await self._grown.wait()
        except TimeoutError:
            return False
        return True
