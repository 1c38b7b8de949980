"""Cache of vectors: level 1 in memory, level 2 in a file that all replicas of a host share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np

from argosy.config.services import EmbeddingSettings
from argosy.contracts.embedding import ModelInfo, Spans, TextKind
from argosy.services.embedding.cache.disk import READ_PATIENCE_S, DiskLevel
from argosy.services.embedding.cache.entry import CachedVector, Hit, Level
from argosy.services.embedding.cache.keys import Keys
from argosy.services.embedding.cache.memory import MemoryLevel
from argosy.services.embedding.cache.rows import Row
from argosy.services.embedding.cache.statistics import CacheStats, DiskState, LevelStats

FILE_NAME = "cache.db"
FOREVER = float("inf")


class EmbeddingCache:
    """Cache of one replica. All methods except `open` and `close` run on the event loop and never block it.

    The cache never fails a request: a fault of its file becomes a miss, a count and a log line.
    """

    def __init__(
        self,
        info: ModelInfo,
        settings: EmbeddingSettings,
        disk: DiskLevel | None,
        *,
        policy: str = "truncate",
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._keys = Keys(info, policy=policy)
        self._dimensions = info.dimensions
        self._ttl_s = settings.cache_ttl_s or FOREVER
        self._memory_limit = settings.cache_memory_bytes
        self._memory = MemoryLevel(self._memory_limit, dimensions=info.dimensions) if self._memory_limit else None
        self.disk = disk
        self._monotonic = monotonic
        self._wall = wall
        self._memory_hits = self._memory_misses = self._disk_hits = self._disk_misses = 0
        self._tokens_saved = 0
        self._seconds_saved = 0.0

    @classmethod
    def open(
        cls,
        data_dir: Path | None,
        info: ModelInfo,
        settings: EmbeddingSettings,
        *,
        policy: str = "truncate",
        read_patience_s: float = READ_PATIENCE_S,
    ) -> Self:
        """Return a cache that uses `cache.db` in `data_dir`.

        Without a folder or with `cache_disk_bytes` = 0, the cache is in memory only.

        `policy` names the setting of the service that changes vectors: how it treats texts that do not fit the model.
        Opening is quick, because the file is opened later by the threads that use it.
        """
        disk = None
        if data_dir is not None and settings.cache_disk_bytes:
            disk = DiskLevel(
                data_dir / FILE_NAME,
                limit_bytes=settings.cache_disk_bytes,
                precision=settings.cache_precision,
                ttl_s=settings.cache_ttl_s or FOREVER,
                read_patience_s=read_patience_s,
            )
        return cls(info, settings, disk, policy=policy)

    def close(self) -> None:
        """Write the queued vectors and close the file. Blocks for a few seconds at most."""
        if self.disk is not None:
            self.disk.close()

    def key(self, text: str, kind: TextKind, spans: Spans = ()) -> bytes:
        """Return the key of the text's vector, 16 bytes, or of the vectors of the text and its spans.

        Every string has a key.
        """
        return self._keys.key(text, kind, spans)

    async def lookup(self, keys: Sequence[bytes]) -> list[Hit | None]:
        """Return the hit or None for each key, in the order of `keys`. A key may occur more than once."""
        now_s = self._monotonic()
        found: list[Hit | None] = [self._from_memory(key, now_s) for key in keys]
        missing = [at for at, hit in enumerate(found) if hit is None]
        self._memory_hits += len(keys) - len(missing)
        self._memory_misses += len(missing)
        if missing and self.disk is not None:
            rows = await self.disk.read(tuple(dict.fromkeys(keys[at] for at in missing)))
            for at in missing:
                row = rows.get(keys[at])
                if row is not None and row.value.vector.shape[0] % self._dimensions == 0:
                    found[at] = self._from_disk(keys[at], row, now_s)
            hits = sum(found[at] is not None for at in missing)
            self._disk_hits += hits
            self._disk_misses += len(missing) - hits
        for hit in found:
            if hit is not None:
                self._tokens_saved += hit.value.tokens
                self._seconds_saved += hit.value.seconds
        return found

    def store(self, items: Iterable[tuple[bytes, CachedVector]]) -> None:
        """Store vectors: in level 1 at once, in level 2 soon, or not at all when its writer is behind.

        Vectors are copied, because a row of a batch would keep its whole batch in memory. A vector with numbers that
        are not finite is not stored.
        """
        now_s, ends_s = self._monotonic(), self._monotonic() + self._ttl_s
        kept = [(key, owned) for key, value in items if (owned := _owned(value)) is not None]
        if self._memory is not None:
            for key, value in kept:
                self._memory.put(key, value, ends_s=ends_s, now_s=now_s)
        if self.disk is not None and kept:
            self.disk.write(kept)

    def stats(self) -> CacheStats:
        memory = LevelStats(hits=self._memory_hits, misses=self._memory_misses)
        if self._memory is not None:
            memory = replace(
                memory,
                entries=len(self._memory),
                bytes_used=self._memory.bytes_used,
                bytes_limit=self._memory_limit,
                evictions=self._memory.evictions,
            )
        disk = LevelStats(hits=self._disk_hits, misses=self._disk_misses)
        counts = self.disk.counts() if self.disk is not None else None
        if counts is not None:
            disk = replace(
                disk,
                entries=counts.entries,
                bytes_used=counts.bytes_used,
                bytes_limit=counts.bytes_limit,
                evictions=counts.evictions,
            )
        return CacheStats(
            memory=memory,
            disk=disk,
            disk_state=counts.state if counts is not None else DiskState.OFF,
            dropped_writes=counts.dropped_writes if counts is not None else 0,
            damaged_values=counts.damaged_values if counts is not None else 0,
            damaged_files=counts.damaged_files if counts is not None else 0,
            seconds_saved=self._seconds_saved,
            tokens_saved=self._tokens_saved,
        )

    def _from_memory(self, key: bytes, now_s: float) -> Hit | None:
        if self._memory is None or (value := self._memory.get(key, now_s)) is None:
            return None
        if self.disk is not None:
            self.disk.touch(key)
        return Hit(value, Level.MEMORY)

    def _from_disk(self, key: bytes, row: Row, now_s: float) -> Hit:
        if self._memory is not None:
            age_s = min(max(self._wall() - row.stored_s, 0.0), self._ttl_s)
            self._memory.put(key, row.value, ends_s=now_s + self._ttl_s - age_s, now_s=now_s)
        return Hit(row.value, Level.DISK)


def _owned(value: CachedVector) -> CachedVector | None:
    vector = np.array(value.vector, dtype=np.float32)
    if not np.isfinite(vector).all():
        return None
    vector.flags.writeable = False
    return replace(value, vector=vector)
