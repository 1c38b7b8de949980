"""Statements on the job table that the catalog and the workers share. Each runs inside its caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, insert, literal, select, update
from sqlalchemy.sql import Select

from argosy.services.documents.schema import ACTIVE, JobKind, JobState, batches, documents, entries, jobs

OVERHEAD_BYTES = 4096
"""What a document costs beside its size, as bytes, when work is estimated: a thousand tiny files are not free."""
_MEASURED_JOBS = 50


def queue_size(connection: Connection, without: Sequence[str] = ()) -> tuple[int, int]:
    """Documents and bytes waiting or in work. `without` names documents whose job is about to be superseded."""
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
    """Makes a batch if the queue has room for what it adds. Both pairs are (documents, bytes).

    Count and insert are one statement. A new batch stands behind those that were served less.
    Returns: False when the queue is full; nothing was written then.
    """
    active = _active(without).subquery()
    served = select(func.coalesce(func.max(batches.c.served), 0)).scalar_subquery()
    room = select(literal(batch_id), literal(now), served).where(
        select(
            and_(active.c.documents + adding[0] <= limits[0], active.c.bytes + adding[1] <= limits[1])
        ).scalar_subquery()
    )
    made = connection.execute(insert(batches).from_select(["id", "created_at", "served"], room))
    return made.rowcount == 1


def enqueue(
    connection: Connection,
    kind: JobKind,
    document_id: str,
    collection: str,
    version: int,
    size_bytes: int,
    batch_id: str | None,
    now: float,
) -> int:
    """A new job, due at once, in place of the document's queued or running one. Returns: its id.

    Whoever waited for the older job of the same kind waits for this one, from where that one was.
    """
    replaced = [
        (row.id, row.progress)
        for row in connection.execute(
            update(jobs)
            .where(jobs.c.document_id == document_id, jobs.c.state.in_(ACTIVE), jobs.c.kind == JobKind.INDEX)
            .values(state=JobState.CANCELLED, finished_at=now, fence=jobs.c.fence + 1)
            .returning(jobs.c.id, jobs.c.progress)
        )
    ]
    job_id = connection.execute(
        insert(jobs)
        .values(
            kind=kind,
            document_id=document_id,
            collection=collection,
            version=version,
            batch_id=batch_id,
            state=JobState.QUEUED,
            bytes=size_bytes,
            progress=max((progress for _, progress in replaced), default=0.0),
            run_at=now,
        )
        .returning(jobs.c.id)
    ).scalar_one()
    if replaced and kind is JobKind.INDEX:
        older = [old for old, _ in replaced]
        connection.execute(update(entries).where(entries.c.job_id.in_(older)).values(job_id=job_id))
    return int(job_id)


def seconds_per_byte(connection: Connection) -> float | None:
    """Wall time per byte (with `OVERHEAD_BYTES` for each document) with the present number of jobs side by side.

    None before anything was measured.
    """
    recent = (
        select((jobs.c.finished_at - jobs.c.started_at).label("seconds"), (jobs.c.bytes + OVERHEAD_BYTES).label("work"))
        .where(jobs.c.state == JobState.DONE, jobs.c.kind == JobKind.INDEX, jobs.c.finished_at.is_not(None))
        .order_by(jobs.c.finished_at.desc())
        .limit(_MEASURED_JOBS)
        .subquery()
    )
    seconds, work = connection.execute(select(func.sum(recent.c.seconds), func.sum(recent.c.work))).one()
    if not work:
        return None
    running = connection.execute(
        select(func.count()).select_from(jobs).where(jobs.c.state == JobState.RUNNING, jobs.c.kind == JobKind.INDEX)
    ).scalar_one()
    return max(0.0, float(seconds)) / float(work) / max(1, running)


def unreferenced(connection: Connection, hashes: Sequence[str]) -> list[str]:
    """Those of `hashes` that no document needs any more."""
    used = {
        found
        for column in (documents.c.content_hash, documents.c.text_hash)
        for found in connection.execute(select(column).where(column.in_(hashes))).scalars()
    }
    return [key for key in dict.fromkeys(hashes) if key not in used]


def _active(without: Sequence[str]) -> Select[Any]:
    found = select(
        func.count(jobs.c.id).label("documents"), func.coalesce(func.sum(jobs.c.bytes), 0).label("bytes")
    ).where(jobs.c.kind == JobKind.INDEX, jobs.c.state.in_(ACTIVE))
    return found.where(jobs.c.document_id.not_in(without)) if without else found
