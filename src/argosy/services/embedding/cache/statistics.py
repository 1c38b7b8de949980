"""What the cache has done since its process began."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class DiskState(enum.StrEnum):
    OFF = "off"
    READY = "ready"
    PAUSED = "paused"
    """The file could not be written or opened; level 1 goes on, and it is tried again from time to time."""


@dataclass(frozen=True, slots=True)
class LevelStats:
    """A key counts once a lookup and level: as a hit, or as a miss (level 2 is asked for level 1's misses only)."""

    hits: int = 0
    misses: int = 0
    entries: int = 0
    bytes_used: int = 0
    bytes_limit: int = 0
    evictions: int = 0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """`entries`, `bytes_used` of the disk are the file's, all replicas' together; all else is this process's.

    `dropped_writes`: vectors that level 2 never got, because its writer was behind or paused. `damaged_values`:
    rows whose checksum was wrong. `damaged_files`: files set aside. `seconds_saved` is compute, not waiting.
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
        """Keys that no level had."""
        return self.memory.misses - self.disk.hits

    @property
    def hit_rate(self) -> float:
        """Of all keys looked up, by either level; 0 before the first."""
        return (self.memory.hits + self.disk.hits) / self.lookups if self.lookups else 0.0
