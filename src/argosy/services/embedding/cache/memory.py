"""Level 1: W-TinyLFU in this process, bounded by bytes, with a time to live.

A new entry enters a small window. An entry that leaves the window is kept only if its key was requested more often than
the keys of the entries it would displace. A single pass over a large corpus therefore does not displace the vectors
that queries need. The main part is a segmented LRU: a hit moves an entry to the protected segment.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from argosy.services.embedding.cache.entry import CachedVector
from argosy.services.embedding.cache.sketch import FrequencySketch

WINDOW_SHARE = 0.01
PROTECTED_SHARE = 0.8
ENTRY_OVERHEAD_BYTES = 490
"""Memory that CPython takes for one entry in addition to the vector's numbers.

The key takes 49, the array 112, the value 72, its fields 56, this level's record 56, and the slot in an ordered
dictionary with a third of the table free about 130; the rest is allocator rounding. A test measures the sum.
"""
SKETCH_BYTES = 32


@dataclass(slots=True)
class _Held:
    value: CachedVector
    size: int
    ends_s: float


Segment = OrderedDict[bytes, _Held]


class MemoryLevel:
    """Level 1. It is not thread-safe and belongs to the event loop. The caller passes times of one monotonic clock."""

    def __init__(self, limit_bytes: int, *, dimensions: int) -> None:
        size = size_of(dimensions)
        self._limit = limit_bytes
        self._sketch = FrequencySketch(limit_bytes // size)
        self._window_limit = max(size, int(limit_bytes * WINDOW_SHARE))
        self._main_limit = max(0, limit_bytes - self._window_limit)
        self._protected_limit = int(self._main_limit * PROTECTED_SHARE)
        self._window: Segment = OrderedDict()
        self._probation: Segment = OrderedDict()
        self._protected: Segment = OrderedDict()
        self._window_bytes = self._probation_bytes = self._protected_bytes = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._window) + len(self._probation) + len(self._protected)

    @property
    def bytes_used(self) -> int:
        """Bytes of the entries with their overhead. Expired entries count until an access removes them."""
        return self._window_bytes + self._probation_bytes + self._protected_bytes

    def get(self, key: bytes, now_s: float) -> CachedVector | None:
        self._sketch.count(key)
        if (held := self._protected.get(key)) is not None:
            if held.ends_s > now_s:
                self._protected.move_to_end(key)
                return held.value
        elif (held := self._probation.get(key)) is not None:
            if held.ends_s > now_s:
                self._protect(key, held)
                return held.value
        elif (held := self._window.get(key)) is not None:
            if held.ends_s > now_s:
                self._window.move_to_end(key)
                return held.value
        else:
            return None
        self.discard(key)
        return None

    def put(self, key: bytes, value: CachedVector, *, ends_s: float, now_s: float) -> None:
        """Store `value` until `ends_s` at most: it may be evicted earlier, even at once."""
        self.discard(key)
        held = _Held(value, size_of(value.vector.shape[0]), ends_s)
        if held.size > self._limit:
            self.evictions += 1
            return
        self._window[key] = held
        self._window_bytes += held.size
        while self._window_bytes > self._window_limit:
            candidate, released = self._window.popitem(last=False)
            self._window_bytes -= released.size
            self._admit(candidate, released, now_s)

    def discard(self, key: bytes) -> None:
        if (held := self._window.pop(key, None)) is not None:
            self._window_bytes -= held.size
        elif (held := self._probation.pop(key, None)) is not None:
            self._probation_bytes -= held.size
        elif (held := self._protected.pop(key, None)) is not None:
            self._protected_bytes -= held.size

    def _admit(self, key: bytes, held: _Held, now_s: float) -> None:
        """Make room for `key` by evicting keys that were requested less often; otherwise drop `key`."""
        if held.ends_s <= now_s or held.size > self._main_limit:
            self.evictions += 1
            return
        frequency = -1
        while self._probation_bytes + self._protected_bytes + held.size > self._main_limit:
            victims = self._probation or self._protected
            victim = next(iter(victims))
            if victims[victim].ends_s > now_s:
                if frequency < 0:
                    frequency = self._sketch.estimate(key)
                if frequency <= self._sketch.estimate(victim):
                    self.evictions += 1
                    return
            self.discard(victim)
            self.evictions += 1
        self._probation[key] = held
        self._probation_bytes += held.size

    def _protect(self, key: bytes, held: _Held) -> None:
        del self._probation[key]
        self._protected[key] = held
        self._probation_bytes -= held.size
        self._protected_bytes += held.size
        while self._protected_bytes > self._protected_limit and len(self._protected) > 1:
            demoted, released = self._protected.popitem(last=False)
            self._protected_bytes -= released.size
            self._probation[demoted] = released
            self._probation_bytes += released.size


def size_of(dimensions: int) -> int:
    """Return the bytes that an entry of `dimensions` float32 takes, including its part of the sketch."""
    return 4 * dimensions + ENTRY_OVERHEAD_BYTES + SKETCH_BYTES
