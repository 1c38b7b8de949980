"""Sweep: deletion of the points of superseded and forgotten versions."""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.services.store.publication import Publication
from argosy.services.store.shards import Shards

SWEEP_DOCUMENTS = 64


@dataclass(slots=True)
class Swept:
    """Result of one sweep: number of deleted points, and documents without stale points, by collection."""

    points: int = 0
    cleared: dict[str, list[str]] = field(default_factory=dict)


class Sweep:
    """Sweep of one store, in three steps: points are deleted, the result is recorded on disk, then in memory."""

    def __init__(self, publication: Publication, shards: Shards) -> None:
        self._publication = publication
        self._shards = shards

    def delete_stale(self, limit: int) -> Swept:
        """Delete up to `limit` points of superseded and forgotten versions."""
        swept = Swept()
        for name, document_id, decision in self._publication.stale(SWEEP_DOCUMENTS, without=self._shards.broken):
            shard = self._shards.open.get(name)
            keep = decision.version if decision.visible else None
            while shard is not None and swept.points < limit:
                removed = shard.delete_up_to(document_id, decision.version, keep, limit - swept.points)
                swept.points += removed
                if removed == 0:
                    break
            if swept.points >= limit:
                break
            swept.cleared.setdefault(name, []).append(document_id)
        return swept

    def record(self, swept: Swept) -> None:
        """Make the deletions of `delete_stale` durable first, then the record that they are done. Waits for the disk.

        This order is required so that a deletion that a power loss undoes is still recorded as due.
        """
        for name, document_ids in swept.cleared.items():
            if name in self._shards.open:
                self._shards.open[name].sync_log()
            self._publication.record_swept(name, document_ids)
        if swept.cleared:
            self._publication.scrub()

    def apply(self, swept: Swept) -> None:
        """Apply the recorded result of `delete_stale` in memory."""
        for name, document_ids in swept.cleared.items():
            self._publication.apply_swept(name, document_ids)
