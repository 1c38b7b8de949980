"""Statements on the job table that catalog and workers share. They run inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, func, insert, literal, select, update
from sqlalchemy.sql import Select

from argosy.services.documents.records.schema import (
    ACTIVE,
    JobKind,
    JobState,
    batches,
    discards,
    documents,
    entries,
    jobs,
    lanes,
)

STORED = (documents.c.content_hash, documents.c.text_hash, documents.c.vectors_hash)
"""Columns that hold keys of contents in the blob store."""
_QUEUED = insert(jobs).returning(jobs.c.id)
_QUEUED_SEVERAL = insert(jobs).returning(jobs.c.id, jobs.c.document_id, sort_by_parameter_order=True)
"""Statements that are built once, because building one costs more than running it."""


def queue_size(connection: Connection, without: Sequence[str] = ()) -> tuple[int, int]:
    """Return the queued and running documents and their bytes.

    `without` lists documents whose jobs are about to be superseded and do not count.
    """
    row: Any = connection.execute(_active(without)).one()
    return int(row.documents), int(row.bytes)


def open_batch(
    connection: Connection,
    batch_id: str,
    now: float,
    adding: tuple[int, int],
    limits: tuple[int, int],
    without: Sequence[str] = (),
) -> bool:
    """Create a batch if the queue has room for what it adds. `adding` and `limits` are (documents, bytes).

    Returns: False when the queue has no room; nothing was written then.
    """
    active = _active(without).subquery()
    room = select(literal(batch_id), literal(now)).where(
        select(
            and_(active.c.documents + adding[0] <= limits[0], active.c.bytes + adding[1] <= limits[1])
        ).scalar_subquery()
    )
    made = insert(batches).from_select(["id", "created_at"], room).returning(batches.c.id)
    return connection.execute(made).first() is not None


def open_lane(connection: Connection, lane: str) -> None:
    """Add a lane at the end of the rotation unless it is already in it. Idle lanes are removed."""
    busy = exists().where(jobs.c.lane == lanes.c.id, jobs.c.state.in_(ACTIVE))
    connection.execute(delete(lanes).where(~busy, lanes.c.id != lane))
    if connection.execute(select(lanes.c.id).where(lanes.c.id == lane)).first() is None:
        last = select(func.coalesce(func.max(lanes.c.served), 0) + 1).scalar_subquery()
        connection.execute(insert(lanes).values(id=lane, served=last))


def supersede(connection: Connection, which: Any, now: float) -> list[tuple[int, float]]:
    """End the queued and running index jobs of the documents that the condition selects.

    Returns: ids and progress of the ended jobs; pass them to `enqueue` as `replaced`.
    """
    chosen = select(documents.c.id).where(which)
    ended = connection.execute(
        update(jobs)
        .where(jobs.c.document_id.in_(chosen), jobs.c.state.in_(ACTIVE), jobs.c.kind == JobKind.INDEX)
        .values(state=JobState.CANCELLED, finished_at=now, fence=jobs.c.fence + 1)
        .returning(jobs.c.id, jobs.c.progress)
    )
    return [(row.id, row.progress) for row in ended]


def enqueue(
    connection: Connection,
    kind: JobKind,
    document: Any,
    now: float,
    *,
    batch_id: str | None = None,
    lane: str | None = None,
    replaced: Sequence[tuple[int, float]] = (),
) -> int:
    """Create a job that is due at once. `document` has id, collection, version and bytes. Returns: the job's id.

    Batches that waited for one of the `replaced` jobs wait for this job, which takes over the highest progress.
    """
    values = _queued(kind, document, now, batch_id, lane, max((progress for _, progress in replaced), default=0.0))
    job_id = connection.execute(_QUEUED, values).scalar_one()
    if replaced and kind is JobKind.INDEX:
        older = [old for old, _ in replaced]
        connection.execute(update(entries).where(entries.c.job_id.in_(older)).values(job_id=job_id))
    return int(job_id)


def enqueue_new(
    connection: Connection, several: Sequence[Any], now: float, *, batch_id: str, lane: str
) -> dict[str, int]:
    """Queue an index job, due at once, for each of several documents that had none. Returns: job ids by document id."""
    if not several:
        return {}
    values = [_queued(JobKind.INDEX, document, now, batch_id, lane, 0.0) for document in several]
    return {row.document_id: int(row.id) for row in connection.execute(_QUEUED_SEVERAL, values)}


def _queued(
    kind: JobKind, document: Any, now: float, batch_id: str | None, lane: str | None, progress: float
) -> dict[str, object]:
    return {
        "kind": kind,
        "document_id": document.id,
        "collection": document.collection,
        "version": document.version,
        "batch_id": batch_id,
        "lane": lane,
        "state": JobState.QUEUED,
        "bytes": document.bytes if kind is JobKind.INDEX else 0,
        "progress": progress,
        "run_at": now,
    }


def ahead_of(connection: Connection, job_id: int) -> int:
    """Return the number of queued and running documents accepted before this one. Rotation may let it overtake some."""
    before = select(func.count(jobs.c.id)).where(
        jobs.c.kind == JobKind.INDEX, jobs.c.state.in_(ACTIVE), jobs.c.id < job_id
    )
    return int(connection.execute(before).scalar_one())


def unreferenced(connection: Connection, hashes: Sequence[str]) -> list[str]:
    """Return the hashes whose contents no document needs any more."""
    if not hashes:
        return []
    used = {
        found for column in STORED for found in connection.execute(select(column).where(column.in_(hashes))).scalars()
    }
    return [key for key in dict.fromkeys(hashes) if key not in used]


def discard(connection: Connection, hashes: Iterable[str | None]) -> None:
    """Record contents that have lost a reference, in the transaction that removes the reference."""
    known = [{"hash": key} for key in dict.fromkeys(hashes) if key is not None]
    if known:
        connection.execute(insert(discards), known)


def _active(without: Sequence[str]) -> Select[Any]:
    found = select(
        func.count(jobs.c.id).label("documents"), func.coalesce(func.sum(jobs.c.bytes), 0).label("bytes")
    ).where(jobs.c.kind == JobKind.INDEX, jobs.c.state.in_(ACTIVE))
    return found.where(jobs.c.document_id.not_in(without)) if without else found
