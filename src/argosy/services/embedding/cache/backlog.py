"""Bounded queue of work for the writer of level 2. Adding work never blocks the caller."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from argosy.services.embedding.cache.entry import CachedVector

Item = tuple[bytes, CachedVector]


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """Transaction: rows to write, keys to delete, and keys whose last use is to be updated."""

    items: Sequence[Item] = ()
    deletions: Sequence[bytes] = ()
    used: Sequence[bytes] = ()


class Backlog:
    """Thread-safe queue. Its lock is held only for a few list operations."""

    def __init__(self, *, max_items: int, max_used: int) -> None:
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._deletions: deque[bytes] = deque(maxlen=max_items)
        self._used: set[bytes] = set()
        self._max_items = max_items
        self._max_used = max_used
        self._busy = False
        self._closed = False
        self.dropped = 0

    def offer(self, items: Sequence[Item]) -> None:
        """Add as many items as there is room for; drop and count the rest."""
        with self._changed:
            room = 0 if self._closed else max(0, self._max_items - len(self._items))
            self._items.extend(items[:room])
            self.dropped += len(items) - min(room, len(items))
            self._changed.notify_all()

    def delete(self, keys: Iterable[bytes]) -> None:
        with self._changed:
            self._deletions.extend(keys)
            self._changed.notify_all()

    def use(self, key: bytes) -> None:
        """Record a use, without the lock: every hit calls this, and an occasional lost use does no harm."""
        if len(self._used) < self._max_used:
            self._used.add(key)

    def take(self, *, at_most: int, with_used: bool, timeout_s: float) -> PendingWrite | None:
        """Return the next transaction: empty after `timeout_s`, None when the backlog is closed and nothing is left."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            if not self._items and not self._deletions and not self._closed:
                self._changed.wait(timeout_s)
            items = [self._items.popleft() for _ in range(min(at_most, len(self._items)))]
            deletions = [self._deletions.popleft() for _ in range(min(at_most, len(self._deletions)))]
            wanted = at_most if with_used or self._closed else 0
            used = [self._used.pop() for _ in range(min(wanted, len(self._used)))]
            if self._closed and not (items or deletions or used):
                return None
            self._busy = True
            return PendingWrite(items, deletions, used)

    def drained(self, timeout_s: float) -> bool:
        """Wait until all work is done; return whether it was done within `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._items and not self._deletions and not self._busy, timeout=timeout_s
            )

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
