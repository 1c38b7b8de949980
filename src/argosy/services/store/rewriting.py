"""Rewriting shards: a copy without the bytes of deleted points takes the shard's place.

Qdrant Edge marks a deleted point and keeps its bytes, in the segment and in the log. Only a new shard is free of them.
The copy is made a few points at a time between requests; the shard serves all the while, and updates go to both.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from argosy.contracts.errors import ArgosyError, Internal, StorageFull
from argosy.contracts.request import Clock
from argosy.services.store.shard import PointId, Shard

SETTLE_S = 5.0
"""Between the first deletion and the copy, so that many deletions cost one copy."""
BLOCK_BYTES = 512
REST = 4.0
"""A collection rests this many times as long as its last copy took: at most a fifth of the time goes to copies."""
MARGIN_BYTES = 64 * 2**20
"""Of the disk that a copy leaves free: the shard itself must have room for what comes in meanwhile."""
AGAIN_S = 60.0
"""Until a copy that failed (a full disk, for one) is tried again."""


class Copy:
    """One shard's copy in the making. Blocking, on the engine's thread."""

    def __init__(self, source: Shard, original: Path, dimensions: int, now_s: float) -> None:
        """Begin to copy the shard in the folder `original` to one beside it. Raises: StorageFull, it has no room."""
        shards = original.parent
        _require(shards, sum(path.stat().st_blocks * BLOCK_BYTES for path in original.rglob("*")))
        self.folder = uuid4().hex
        self.path = shards / self.folder
        self.began_s = now_s
        self._source = source
        self._target = Shard.create(self.path, dimensions)
        self._after: PointId | None = None
        source.mirror = self._target

    def step(self, limit: int) -> Shard | None:
        """Copy up to `limit` points. Returns: the new shard, durable, once all are in it.

        Raises: StorageFull, Internal: the copy is of no use any more.
        """
        if self._source.mirror is not self._target:
            raise Internal("The copy of the collection's index missed an update.")
        _require(self.path.parent, 0)
        self._after = self._source.copy_some(self._after, limit)
        if self._after is not None:
            return None
        self._target.flush()
        self._source.mirror = None
        return self._target

    def abandon(self) -> None:
        """Close the copy. Its folder is the caller's to remove."""
        if self._source.mirror is self._target:
            self._source.mirror = None
        with contextlib.suppress(ArgosyError):  # it may be closed already
            self._target.close()


def _require(folder: Path, size_bytes: int) -> None:
    """A full disk would end the process: shards are written through memory maps."""
    if shutil.disk_usage(folder).free < size_bytes + MARGIN_BYTES:
        raise StorageFull("The disk has no room to rewrite a collection's index without its deleted points.")


class Schedule:
    """When each collection is due to be copied."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_before_s: dict[str, float] = {}

    def due(self, names: Iterable[str]) -> str | None:
        """Return one of the collections whose time has come. A name that is new here settles first."""
        now_s = self._clock()
        for name in sorted(names):
            if now_s >= self._not_before_s.setdefault(name, now_s + SETTLE_S):
                return name
        return None

    def finished(self, name: str, began_s: float) -> None:
        now_s = self._clock()
        self._not_before_s[name] = now_s + max(SETTLE_S, REST * (now_s - began_s))

    def failed(self, name: str) -> None:
        self._not_before_s[name] = self._clock() + AGAIN_S

    def forget(self, name: str) -> None:
        self._not_before_s.pop(name, None)
