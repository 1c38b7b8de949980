"""Steps of the store that its service makes on several threads, made in one call."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.services.store.decisions import Staged
from argosy.services.store.engine import StoreEngine
from argosy.services.store.publication import Publication


def sweep(engine: StoreEngine, limit: int) -> int:
    """Delete up to `limit` stale points and record it. Returns: the number of deleted points."""
    swept = engine.sweep.delete_stale(limit)
    engine.sweep.record(swept)
    engine.sweep.apply(swept)
    return swept.points


def publish(
    publication: Publication, document_id: str, version: int, *, chunks: int, stale: bool, fields: str = ""
) -> None:
    """Stage, record and apply a publication in the collection `c`."""
    _now(publication, publication.stage_publish("c", document_id, version, chunks=chunks, stale=stale, fields=fields))


def forget(publication: Publication, document_id: str, version: int, *, stale: bool) -> None:
    """Stage, record and apply the forgetting of a document in the collection `c`."""
    _now(publication, publication.stage_forget("c", document_id, version, stale=stale))


def clear(publication: Publication, document_ids: Sequence[str]) -> None:
    """Record and apply that no stale points of these documents are left in the collection `c`."""
    publication.record_swept("c", document_ids)
    publication.apply_swept("c", document_ids)


def _now(publication: Publication, staged: Staged | None) -> None:
    if staged is not None:
        try:
            publication.record([staged])
        except BaseException:
            publication.abandon([staged])
            raise
        publication.apply([staged])
