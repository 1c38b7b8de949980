"""Conversion of catalog rows to the messages that callers receive."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from argosy.contracts.documents import TERMINAL, BatchView, DocumentFault, DocumentStatus, DocumentView, JobView
from argosy.contracts.store import Metadata
from argosy.services.documents.records.estimates import by_kind, eta_s
from argosy.services.documents.records.pace import OVERHEAD_BYTES, work
from argosy.services.documents.records.queueing import ahead_of
from argosy.services.documents.records.schema import DELETED, JobState, batches, documents, entries, jobs

_STATUS = {
    JobState.QUEUED: DocumentStatus.QUEUED,
    JobState.RUNNING: DocumentStatus.RUNNING,
    JobState.DONE: DocumentStatus.INDEXED,
    JobState.FAILED: DocumentStatus.FAILED,
    JobState.DEAD: DocumentStatus.DEAD,
    JobState.CANCELLED: DocumentStatus.FAILED,
}
_WAS_DELETED = DocumentFault("deleted", "The document was deleted before it was indexed.")


def document_view(row: Any) -> DocumentView:
    """Convert a row of `documents`."""
    return DocumentView(
        id=row.id,
        collection=row.collection,
        name=row.name,
        source=row.source,
        status=DocumentStatus(row.status),
        stage=row.stage,
        attempts=row.attempts,
        version=row.version,
        bytes=row.bytes,
        chunks=row.chunks,
        pages=row.pages,
        title=row.title,
        content_type=row.content_type,
        created_at=row.created_at,
        updated_at=row.updated_at,
        error=_fault(row.error_code, row.error_detail),
        metadata=msgspec.json.decode(row.metadata, type=Metadata),
        left_out=_left_out(row),
    )


def batch_view(connection: Connection, batch_id: str, now: float) -> BatchView | None:
    """Return the current state of a batch: the outcome of each entry, even if the document has newer versions."""
    if connection.execute(select(batches.c.id).where(batches.c.id == batch_id)).first() is None:
        return None
    rows = connection.execute(
        select(
            entries.c.document_id,
            entries.c.name.label("entry_name"),
            entries.c.bytes.label("entry_bytes"),
            entries.c.unchanged,
            entries.c.job_id,
            jobs.c.state,
            jobs.c.progress,
            jobs.c.version.label("job_version"),
            jobs.c.attempts.label("job_attempts"),
            jobs.c.error_code.label("job_error_code"),
            jobs.c.error_detail.label("job_error_detail"),
            *documents.c,
        )
        .select_from(entries)
        .outerjoin(jobs, jobs.c.id == entries.c.job_id)
        .join(documents, documents.c.id == entries.c.document_id)
        .where(entries.c.batch_id == batch_id)
        .order_by(entries.c.ordinal)
    ).all()
    views = [_entry_view(row) for row in rows]
    counts = Counter(view.status.value for view in views)
    parts = [1.0 if view.status in TERMINAL else row.progress for view, row in zip(views, rows, strict=True)]
    sizes = [row.entry_bytes + OVERHEAD_BYTES for row in rows]  # independent of the format
    finished = sum(size * part for size, part in zip(sizes, parts, strict=True))
    left = by_kind(
        (row.content_type, work(row.entry_bytes, row.content_type) * (1.0 - part))
        for part, row in zip(parts, rows, strict=True)
        if part < 1.0
    )
    done = all(view.status in TERMINAL for view in views)
    waiting = [row.job_id for row, view in zip(rows, views, strict=True) if view.status is DocumentStatus.QUEUED]
    return BatchView(
        id=batch_id,
        total=len(views),
        counts={status.value: counts[status.value] for status in DocumentStatus},
        progress=1.0 if done else min(finished / sum(sizes), 1.0),
        done=done,
        eta_s=0.0 if done else eta_s(connection, left, now),
        queue_position=ahead_of(connection, min(waiting)) if waiting and len(waiting) == len(rows) else 0,
        documents=views,
    )


def _entry_view(row: Any) -> DocumentView:
    gone = row.status == DELETED
    status = DocumentStatus.UNCHANGED if row.unchanged or row.state is None else _STATUS[JobState(row.state)]
    fault = _fault(row.job_error_code, row.job_error_detail)
    version = row.version if row.job_version is None else row.job_version
    current = row.version == version and not gone
    return DocumentView(
        id=row.document_id,
        collection=row.collection,
        name=row.entry_name,
        source=row.source,
        status=status,
        stage=row.stage if status is DocumentStatus.RUNNING and current else None,
        attempts=row.job_attempts or 0,
        version=version,
        bytes=row.entry_bytes,
        chunks=row.chunks if current else None,
        pages=row.pages if current else None,
        title=row.title,
        content_type=row.content_type,
        created_at=row.created_at,
        updated_at=row.updated_at,
        error=fault or _WAS_DELETED if row.state == JobState.CANCELLED else fault,
        metadata={} if gone else msgspec.json.decode(row.metadata, type=Metadata),
        left_out=_left_out(row) if current else [],
    )


def job_view(row: Any) -> JobView:
    """Convert a row of `jobs`, joined with its document's `name` and `source`."""
    return JobView(
        id=row.id,
        kind=row.kind,
        state=row.state,
        document_id=row.document_id,
        collection=row.collection,
        name=row.name,
        source=row.source,
        version=row.version,
        batch_id=row.batch_id,
        bytes=row.bytes,
        attempts=row.attempts,
        run_at=row.run_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=_fault(row.error_code, row.error_detail),
    )


def _left_out(row: Any) -> list[str]:
    return [] if row.left_out is None else msgspec.json.decode(row.left_out, type=list[str])


def _fault(code: str | None, detail: str | None) -> DocumentFault | None:
    return None if code is None else DocumentFault(code, detail or "")
