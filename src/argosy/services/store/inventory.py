"""Inventory of a shard: which document versions have how many points. Used on copies, never in the serving process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from argosy.services.store.shard import Shard


def counted(shard: Shard) -> Counter[tuple[str, int]]:
    """Return the number of points of each document version."""
    return Counter((document_id, version) for _, document_id, version in shard.versions())


def remove_except(shard: Shard, kept: Mapping[str, int]) -> int:
    """Delete all points except those of the given version of each document. Returns: the number of deleted points."""
    unwanted = [point for point, document_id, version in shard.versions() if kept.get(document_id) != version]
    shard.delete(unwanted)
    return len(unwanted)
