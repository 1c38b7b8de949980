"""Statistics of the cache since the start of its process."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class DiskState(enum.StrEnum):
    OFF = "off"
    READY = "ready"
    PAUSED = "paused"
    """The file could not be written or opened. Level 1 continues, and the file is retried from time to time."""


@dataclass(frozen=True, slots=True)
class LevelStats:
    """Counts of one level. Each lookup counts a key as a hit or a miss; level 2 only sees the misses of level 1."""

    hits: int = 0
    misses: int = 0
    entries: int = 0
    bytes_used: int = 0
    bytes_limit: int = 0
    evictions: int = 0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Counts of both levels. `entries` and `bytes_used` of the disk cover all replicas; other fields only this process.

    `dropped_writes` counts vectors that level 2 did not store because its writer was behind or paused. `damaged_values`
    counts rows with a wrong checksum, and `damaged_files` counts files set aside. `seconds_saved` is compute time
    without waiting.
    """

    memory: LevelStats
    disk: LevelStats
    disk_state: DiskState
    dropped_writes: int
    damaged_values: int
    damaged_files: int
    seconds_saved: float
    tokens_saved: int

    @property
    def lookups(self) -> int:
        return self.memory.hits + self.disk.hits + self.misses

    @property
    def misses(self) -> int:
        """Number of keys that neither level had."""
        return self.memory.misses - self.disk.hits

    @property
    def hit_rate(self) -> float:
        """Share of all keys looked up that either level had; 0 before the first lookup."""
        return (self.memory.hits + self.disk.hits) / self.lookups if self.lookups else 0.0
