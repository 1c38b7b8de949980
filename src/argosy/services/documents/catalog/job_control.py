"""Listing, retrying and cancelling of jobs by users."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, exists, insert, select, update

from argosy.contracts.documents import DocumentFault, DocumentStatus, DocumentView, JobPage
from argosy.contracts.errors import Conflict, InvalidRequest, NotFound
from argosy.services.documents.catalog.catalog import MAX_PAGE, existing
from argosy.services.documents.catalog.intake import Intake, QueueLimits
from argosy.services.documents.catalog.views import document_view, job_view
from argosy.services.documents.records.database import Database
from argosy.services.documents.records.queueing import enqueue, open_lane
from argosy.services.documents.records.schema import (
    ACTIVE,
    DELETED,
    JobKind,
    JobState,
    batches,
    documents,
    entries,
    jobs,
)

CANCELLED = DocumentFault("cancelled", "The document was cancelled before it was indexed. Retry it to index it.")
_GAVE_UP = (DocumentStatus.FAILED, DocumentStatus.DEAD)


class JobControl:
    """User actions on jobs. The methods block and may be called from several threads and processes."""

    def __init__(self, database: Database, limits: QueueLimits | None = None) -> None:
        self._database = database
        self._intake = Intake(limits or QueueLimits(), "")

    def jobs(self, limit: int = 100, after: int | None = None, state: str | None = None) -> JobPage:
        """Return a page of jobs, newest first. `after` is the `next` of an earlier page.

        Raises: InvalidRequest when an argument is not valid.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"`limit` must be from 1 to {MAX_PAGE}.", param="limit")
        if state is not None and state not in set(JobState):
            raise InvalidRequest(f"There is no state '{state[:40]}'. Use one of: {', '.join(JobState)}.", param="state")
        query = select(*jobs.c, documents.c.name, documents.c.source).join(
            documents, documents.c.id == jobs.c.document_id
        )
        if state is not None:
            query = query.where(jobs.c.state == state)
        if after is not None:
            query = query.where(jobs.c.id < after)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(jobs.c.id.desc()).limit(limit + 1)).all()
        views = [job_view(row) for row in rows[:limit]]
        return JobPage(views, views[-1].id if len(rows) > limit else None)

    def retry(self, document_id: str) -> DocumentView:
        """Queue a failed or dead document again.

        Raises: DocumentNotFound when there is no such document; Conflict when it has not failed, or was refused and so
        has no stored content; Overloaded when the queue has no room.
        """
        with self._database.write(alone=True) as connection:
            now = self._database.now(connection)
            row = existing(connection, document_id)
            if row.status not in _GAVE_UP:
                raise Conflict(f"The document is {row.status}; only a failed or dead document can be retried.")
            if row.content_hash is None:
                raise Conflict("The document was refused and its content was not stored. Correct it and add it again.")
            batch_id = self._intake.reserve(connection, (1, row.bytes), [document_id], now)
            open_lane(connection, batch_id)
            job = enqueue(connection, JobKind.INDEX, row, now, batch_id=batch_id, lane=batch_id)
            entry = {"document_id": row.id, "name": row.name, "bytes": row.bytes, "unchanged": False, "job_id": job}
            connection.execute(insert(entries).values(batch_id=batch_id, ordinal=0, **entry))
            anew = {"status": DocumentStatus.QUEUED, "attempts": 0, "stage": None, "updated_at": now}
            connection.execute(
                update(documents)
                .where(documents.c.id == document_id)
                .values(error_code=None, error_detail=None, **anew)
            )
            return document_view(existing(connection, document_id))

    def cancel_document(self, document_id: str) -> DocumentView:
        """Cancel the queued or running job of a document. An indexed older version stays in the index.

        Raises: DocumentNotFound when there is no such document; Conflict when it has no active job.
        """
        with self._database.write(alone=True) as connection:
            row = existing(connection, document_id)
            if not self._cancel(connection, jobs.c.document_id == document_id):
                raise Conflict(f"The document is {row.status}; there is no job to cancel.")
            return document_view(existing(connection, document_id))

    def cancel_batch(self, batch_id: str) -> int:
        """Cancel the active jobs of a batch, except those that another batch also waits for. Indexed documents stay.

        Returns: the number of documents cancelled. Raises: NotFound when there is no such batch.
        """
        with self._database.write(alone=True) as connection:
            if connection.execute(select(batches.c.id).where(batches.c.id == batch_id)).first() is None:
                raise NotFound(f"There is no batch '{batch_id[:64]}'.")
            others = exists().where(entries.c.job_id == jobs.c.id, entries.c.batch_id != batch_id)
            own = select(entries.c.job_id).where(entries.c.batch_id == batch_id)
            return self._cancel(connection, jobs.c.id.in_(own) & ~others)

    def _cancel(self, connection: Connection, which: Any) -> int:
        now = self._database.now(connection)
        fault = {"error_code": CANCELLED.code, "error_detail": CANCELLED.detail}
        ended = connection.execute(
            update(jobs)
            .where(which, jobs.c.kind == JobKind.INDEX, jobs.c.state.in_(ACTIVE))
            .values(state=JobState.CANCELLED, finished_at=now, fence=jobs.c.fence + 1, **fault)
            .returning(jobs.c.document_id, jobs.c.version)
        ).all()
        for job in ended:
            connection.execute(
                update(documents)
                .where(
                    documents.c.id == job.document_id,
                    documents.c.version == job.version,
                    documents.c.status != DELETED,
                )
                .values(status=DocumentStatus.FAILED, stage=None, updated_at=now, **fault)
            )
        return len(ended)
