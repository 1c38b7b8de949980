"""Rewriting of the store's shards: which collection is rebuilt next, and the swap of the new shard for the old one."""

from __future__ import annotations

import os
from collections.abc import Iterable

from argosy.contracts.errors import ArgosyError, Internal
from argosy.contracts.request import Clock
from argosy.services.store import index_plan
from argosy.services.store.index_plan import FLAT_POINTS, Quantisation
from argosy.services.store.publication import Publication
from argosy.services.store.rebuild import Rebuild
from argosy.services.store.shards import Shards

SETTLE_S = 5.0
"""Time between the first deletion and the rebuild, so that many deletions need only one rebuild."""
REST = 4.0
"""Multiple of a rebuild's duration for which its collection then rests: rebuilds take at most 1/5 of the time."""
AGAIN_S = 60.0
"""Time before a failed rebuild is retried, for example after a full disk."""


class Schedule:
    """Times at which collections may be rebuilt."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_before_s: dict[str, float] = {}

    def due(self, names: Iterable[str]) -> str | None:
        """Return one of the collections that are due. A new name is due after SETTLE_S."""
        now_s = self._clock()
        for name in sorted(names):
            if now_s >= self._not_before_s.setdefault(name, now_s + SETTLE_S):
                return name
        return None

    def finished(self, name: str, began_s: float) -> None:
        """Record the end of a rebuild; the next one is due after SETTLE_S or REST times its duration."""
        now_s = self._clock()
        self._not_before_s[name] = now_s + max(SETTLE_S, REST * (now_s - began_s))

    def failed(self, name: str) -> None:
        """Record a failed rebuild, which is due again after AGAIN_S."""
        self._not_before_s[name] = self._clock() + AGAIN_S

    def forget(self, name: str) -> None:
        self._not_before_s.pop(name, None)


class Rewriting:
    """Rewriting of the collections of one store. Its methods block and run on the engine's thread.

    At most one rebuild is in progress. Between `begin` and `swap` its steps run as `Rebuild` says.
    """

    def __init__(
        self,
        publication: Publication,
        shards: Shards,
        clock: Clock,
        flat_points: int = FLAT_POINTS,
        quantisation: Quantisation = "none",
    ) -> None:
        self._publication = publication
        self._shards = shards
        self._clock = clock
        self._schedule = Schedule(clock)
        self._flat_points = flat_points
        self._quantisation = quantisation
        self.current: Rebuild | None = None
        self.reason = ""
        """Reason why the last rebuild failed or could not begin; empty after one that succeeded."""
        shards.unfinished = lambda: () if self.current is None else self.current.folders

    def due(self) -> str | None:
        """Return a collection whose shard should be rebuilt now, or None.

        A rebuild is due when the files contain deleted points, or the vector index no longer fits the collection.
        """
        grown = {
            name
            for name, shard in self._shards.open.items()
            if index_plan.due(shard.built, shard.points(), self._flat_points, self._quantisation)
        }
        return self._schedule.due((self._publication.rewritable | grown) - self._shards.broken.keys())

    def begin(self, name: str) -> Rebuild | None:
        """Begin to rebuild the collection. Returns: None when it has no shard.

        Raises: StorageFull or Unavailable when there is too little disk space or memory; it is tried again later.
        """
        collection = self._publication.collections[name]
        old = self._shards.open.get(name)
        if old is None or collection.dimensions is None:
            self._publication.rewritable.discard(name)
            return None
        plan = index_plan.plan_for(old.points(), self._flat_points, self._quantisation, os.cpu_count() or 1)
        folder = self._shards.path(collection)
        try:
            self.current = Rebuild(name, old, folder, collection.dimensions, plan, self._clock())
        except ArgosyError as error:
            self._postpone(name, error)
            raise
        if name in self._publication.rewritable:
            self._publication.rewritable.discard(name)  # points deleted from here on may already be in the copy
            self.current.reclaims = True
        return self.current

    def swap(self, rebuild: Rebuild) -> None:
        """Let the new shard take the place of the old one, durably. All changes are carried over and synced before.

        The folder of the old shard is an orphan from now on.
        Raises: Internal when the rebuild was abandoned; the caller then calls `fail`.
        """
        name, new = rebuild.name, rebuild.target
        if self.current is not rebuild or new is None:
            raise Internal("The rebuild of the collection's index was abandoned.")
        self._publication.move(name, rebuild.folder, rewrite=name in self._publication.rewritable)
        self._shards.replace(name, new, rebuild.folder)
        self._schedule.finished(name, rebuild.began_s)
        self.current = None
        self.reason = ""
        rebuild.source.forget_changes()
        rebuild.source.close()

    def fail(self, rebuild: Rebuild, error: ArgosyError | None) -> None:
        """Give up a rebuild after an error; it is tried again later. The old shard is not affected."""
        if self.current is rebuild:
            self._abandon()
            self._postpone(rebuild.name, error)

    def forget(self, name: str) -> None:
        """Abandon the rebuild of a collection that is about to be dropped."""
        if self.current is not None and self.current.name == name:
            self._abandon()
        self._schedule.forget(name)

    def abandon(self) -> None:
        """Abandon the rebuild in progress. Its folders are orphans from now on."""
        if self.current is not None:
            self._abandon()

    def _abandon(self) -> None:
        rebuild = self.current
        assert rebuild is not None
        self.current = None
        if rebuild.reclaims:
            self._publication.rewritable.add(rebuild.name)
        rebuild.abandon()

    def _postpone(self, name: str, error: ArgosyError | None) -> None:
        why = "an internal error; see the log" if error is None else error.message
        self.reason = f"collection {name!r}: {why}"
        self._schedule.failed(name)
