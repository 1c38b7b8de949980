"""Steps of the store that its service makes on several threads, made in one call."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.contracts.errors import ArgosyError
from argosy.services.store.decisions import Staged
from argosy.services.store.engine import StoreEngine
from argosy.services.store.publication import Publication
from argosy.services.store.rebuild import Builder, Rebuild
from argosy.services.store.rebuild_child import RebuildJob, Tell, build


def build_here(job: RebuildJob, tell: Tell, started: object) -> None:
    """Do the work of the child process in this process."""
    build(job, tell)


def sweep(engine: StoreEngine, limit: int) -> int:
    """Delete up to `limit` stale points and record it. Returns: the number of deleted points."""
    swept = engine.sweep.delete_stale(limit)
    engine.sweep.record(swept)
    engine.sweep.apply(swept)
    return swept.points


def begin_rebuild(engine: StoreEngine) -> Rebuild | None:
    """Begin the rebuild that is due, if any, and copy the shard's folder."""
    name = engine.rewriting.due()
    rebuild = None if name is None else engine.rewriting.begin(name)
    if rebuild is not None:
        try:
            rebuild.copy()
        except ArgosyError as error:
            engine.rewriting.fail(rebuild, error)
            engine.shards.remove_orphans()
            raise
    return rebuild


def finish_rebuild(engine: StoreEngine, rebuild: Rebuild, builder: Builder = build_here) -> None:
    """Write the new shard in this process, carry the changes over and swap."""
    try:
        rebuild.build(builder)
        rebuild.open()
        while rebuild.carry_over(2):
            pass
        rebuild.sync()
        engine.rewriting.swap(rebuild)
    except ArgosyError as error:
        engine.rewriting.fail(rebuild, error)
        raise
    finally:
        if engine.rewriting.current is None:
            engine.shards.remove_orphans()


def rebuild(engine: StoreEngine) -> bool:
    """Finish the rebuild in progress, or make one that is due. Returns: whether there was one."""
    begun = engine.rewriting.current or begin_rebuild(engine)
    if begun is not None:
        finish_rebuild(engine, begun)
    return begun is not None


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
