"""Unwritten events and memories. A thread writes them to `control.db`, so that no disk blocks the event loop.

They stay here until they are written, and readers find them here. While the disk is full, slow or locked, nothing is
lost up to a bound.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from argosy.contracts.events import Event
from argosy.telemetry.logs import logger

MAX_EVENTS = 5_000
"""Largest number of unwritten events. Above it, the oldest are dropped."""
RETRY_S = 1.0

Memory: TypeAlias = tuple[float, bytes]
Write = Callable[[Sequence[Event], Sequence[tuple[str, Memory]]], None]

log = logger("history")


class Unwritten:
    """Unwritten events and memories of one history. Thread-safe. The thread lives only while there is data to write."""

    def __init__(self, write: Write, retry_s: float = RETRY_S) -> None:
        """Create an empty store. `write` is called in the thread; it writes everything in one step or raises."""
        self._write = write
        self._retry_s = retry_s
        self._lock = threading.Lock()
        self._events: dict[int, Event] = {}
        self._memories: dict[str, Memory] = {}
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self.problem = ""
        """Reason for which the latest write failed; empty when it succeeded."""

    def add_events(self, events: Sequence[Event]) -> None:
        """Add events to be written."""
        with self._lock:
            self._events.update((event.seq, event) for event in events)
            while len(self._events) > MAX_EVENTS:
                del self._events[next(iter(self._events))]
            self._begin()

    def add_memory(self, name: str, memory: Memory) -> None:
        """Add a memory to be written. It replaces an unwritten memory of the same name."""
        with self._lock:
            self._memories[name] = memory
            self._begin()

    def events(self) -> list[Event]:
        """Return the unwritten events in the order in which they were added."""
        with self._lock:
            return list(self._events.values())

    def memory(self, name: str) -> Memory | None:
        """Return the unwritten memory of that name, or None."""
        with self._lock:
            return self._memories.get(name)

    def close(self, timeout_s: float) -> None:
        """Try once more to write the remaining data, and end the thread. Wait for it at most `timeout_s`."""
        with self._lock:
            self._closing.set()
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _begin(self) -> None:
        """Start the thread unless it runs or the store is closing. The caller holds the lock."""
        if self._thread is None and not self._closing.is_set():
            self._thread = threading.Thread(target=self._run, name="history-writer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        last = False
        while True:
            with self._lock:
                events, memories = list(self._events.values()), list(self._memories.items())
                if not (events or memories) or last:
                    self._thread = None
                    return
            last = self._closing.is_set()
            try:
                self._write(events, memories)
            except Exception as error:
                if not self.problem:
                    log.error("history not written", reason=str(error) or type(error).__name__)
                self.problem = str(error) or type(error).__name__
                self._closing.wait(self._retry_s)
            else:
                self.problem = ""
                self._forget(events, memories)

    def _forget(self, events: Sequence[Event], memories: Sequence[tuple[str, Memory]]) -> None:
        with self._lock:
            for event in events:
                self._events.pop(event.seq, None)
            for name, memory in memories:
                if self._memories.get(name) is memory:
                    del self._memories[name]
