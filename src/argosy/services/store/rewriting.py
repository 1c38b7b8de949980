"""Rewriting of shards: a copy without the bytes of deleted points replaces the shard.

Qdrant Edge marks a deleted point but keeps its bytes in the segment and in the log. Only a new shard is free of them.
A few points at a time are copied between requests; the shard keeps serving, and updates go to shard and copy.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from argosy.contracts.errors import ArgosyError, Internal, StorageFull
from argosy.contracts.request import Clock
from argosy.services.store.publication import Publication
from argosy.services.store.shard import PointId, Shard
from argosy.services.store.shards import Shards

SETTLE_S = 5.0
"""Time between the first deletion and the copy, so that many deletions need only one copy."""
BLOCK_BYTES = 512
REST = 4.0
"""Multiple of the last copy's duration for which a collection is not copied: copies take at most 1/5 of the time."""
MARGIN_BYTES = 64 * 2**20
"""Disk space that a copy leaves free for updates of the shard that arrive during the copy."""
AGAIN_S = 60.0
"""Time before a failed copy is retried, for example after a full disk."""


class Copy:
    """Unfinished copy of one shard. Its methods block and run on the engine's thread."""

    def __init__(self, source: Shard, original: Path, dimensions: int, now_s: float) -> None:
        """Begin to copy the shard in the folder `original` to a new folder beside it.

        Raises: StorageFull when the disk has no room for the copy.
        """
        shards = original.parent
        _require(shards, sum(path.stat().st_blocks * BLOCK_BYTES for path in original.rglob("*")))
        self.folder = uuid4().hex
        self.path = shards / self.folder
        self.began_s = now_s
        self._source = source
        self._target = Shard.create(self.path, dimensions, source.calls)
        self._after: PointId | None = None
        source.mirror = self._target

    def step(self, limit: int) -> Shard | None:
        """Copy up to `limit` points. Returns: the new shard, flushed, after all points are copied; else None.

        Raises: StorageFull when the disk is full; Internal when the copy missed an update. Abandon the copy then.
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
        """Close the copy. The caller removes its folder."""
        if self._source.mirror is self._target:
            self._source.mirror = None
        with contextlib.suppress(ArgosyError):  # the copy may already be closed
            self._target.close()


def _require(folder: Path, size_bytes: int) -> None:
    """Check the free disk space. A full disk would kill the process, because shards are written through memory maps.

    Raises: StorageFull when the space is not sufficient.
    """
    if shutil.disk_usage(folder).free < size_bytes + MARGIN_BYTES:
        raise StorageFull(
            "The disk has no room to rewrite a collection's index without its deleted points. Free disk space."
        )


class Schedule:
    """Schedule of the copies of all collections."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_before_s: dict[str, float] = {}

    def due(self, names: Iterable[str]) -> str | None:
        """Return one of the collections that are due for a copy. A new name is due after SETTLE_S."""
        now_s = self._clock()
        for name in sorted(names):
            if now_s >= self._not_before_s.setdefault(name, now_s + SETTLE_S):
                return name
        return None

    def finished(self, name: str, began_s: float) -> None:
        """Record the end of a copy; the next one is due after SETTLE_S or REST times its duration."""
        now_s = self._clock()
        self._not_before_s[name] = now_s + max(SETTLE_S, REST * (now_s - began_s))

    def failed(self, name: str) -> None:
        """Record a failed copy, which is due again after AGAIN_S."""
        self._not_before_s[name] = self._clock() + AGAIN_S

    def forget(self, name: str) -> None:
        self._not_before_s.pop(name, None)


class Rewriting:
    """Rewriting of the collections of one store. Its methods block and run on the engine's thread."""

    def __init__(self, publication: Publication, shards: Shards, clock: Clock) -> None:
        self._publication = publication
        self._shards = shards
        self._clock = clock
        self._schedule = Schedule(clock)
        self.copies: dict[str, Copy] = {}
        shards.unfinished = lambda: [copy.folder for copy in self.copies.values()]

    def step(self, limit: int) -> bool:
        """Copy up to `limit` points of a collection whose files still contain bytes of deleted points.

        Returns: whether more copying may be due now.
        Raises: StorageFull when the disk is full; Internal when the copy fails. The copy is then retried later.
        """
        due = self._publication.rewritable - self._shards.broken.keys()
        name = next(iter(self.copies), None) or self._schedule.due(due)
        if name is None:
            return False
        try:
            self._copy_some(name, limit)
        except ArgosyError:
            self._abandon(name)
            self._publication.rewritable.add(name)
            self._schedule.failed(name)
            raise
        return True

    def _copy_some(self, name: str, limit: int) -> None:
        collection = self._publication.collections[name]
        old = self._shards.open.get(name)
        if old is None or collection.dimensions is None:
            self._publication.rewritable.discard(name)
            return
        copy = self.copies.get(name)
        if copy is None:
            copy = self.copies[name] = Copy(old, self._shards.path(collection), collection.dimensions, self._clock())
            self._publication.rewritable.discard(name)  # points deleted from here on may already be in the copy
        new = copy.step(limit)
        if new is None:
            return
        self._publication.move(name, copy.folder, rewrite=name in self._publication.rewritable)
        del self.copies[name]
        self._schedule.finished(name, copy.began_s)
        self._shards.replace(name, new, copy.path)

    def forget(self, name: str) -> None:
        """Abandon the copy of a collection that is about to be dropped."""
        self._abandon(name)
        self._schedule.forget(name)

    def abandon_all(self) -> None:
        """Abandon all copies and remove their folders."""
        for name in list(self.copies):
            self._abandon(name)

    def _abandon(self, name: str) -> None:
        if (copy := self.copies.pop(name, None)) is not None:
            copy.abandon()
            self._shards.remove_orphans()
