"""Recording of finished jobs: updates their documents and discards stored contents that are no longer needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from argosy.contracts.documents import DocumentStatus
from argosy.services.documents.jobs.job import Indexed, Job
from argosy.services.documents.records.queueing import discard
from argosy.services.documents.records.schema import DELETED, JobState, documents, jobs


class Outcome(msgspec.Struct, omit_defaults=True):
    """Figures of a finished index job, kept for statistics."""

    chunks: int = 0
    pages: int = 0
    embedded: int = 0
    seconds: dict[str, float] = {}


_DONE = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(
        state=JobState.DONE,
        progress=1.0,
        finished_at=bindparam("now"),
        outcome=bindparam("kept"),
        error_code=None,
        error_detail=None,
    )
)
_INDEXED = (
    update(documents)
    .where(
        documents.c.id == bindparam("document"), documents.c.version == bindparam("of"), documents.c.status != DELETED
    )
    .values(
        updated_at=bindparam("now"),
        status=DocumentStatus.INDEXED,
        stage=None,
        chunks=bindparam("made"),
        pages=bindparam("on_pages"),
        title=bindparam("found_title"),
        left_out=bindparam("unread"),
        text_hash=bindparam("text"),
        vectors_hash=bindparam("vectors"),
        error_code=None,
        error_detail=None,
    )
)


def finish(connection: Connection, several: Sequence[tuple[Job, Indexed | None]], now: float) -> None:
    """Record finished jobs and discard the stored contents that they replace.

    The caller has locked the rows of the jobs and checked that they are still their worker's.
    """
    connection.execute(
        _DONE, [{"job": job.id, "now": now, "kept": None if made is None else _outcome(made)} for job, made in several]
    )
    ids = {job.document_id for job, _ in several}
    before = {row.id: row for row in connection.execute(select(documents).where(documents.c.id.in_(ids)))}
    indexed = [_indexed(job, made, now) for job, made in several if made is not None]
    if indexed:
        connection.execute(_INDEXED, indexed)
    # An older release left the contents of a deleted document to its deletion job.
    gone = [job.document_id for job, made in several if made is None and before[job.document_id].status == DELETED]
    if gone:
        bare = {"content_hash": None, "text_hash": None, "vectors_hash": None}
        connection.execute(update(documents).where(documents.c.id.in_(gone)).values(**bare))
    discard(connection, [key for job, made in several for key in _left_by(before[job.document_id], made)])


def _left_by(before: Any, indexed: Indexed | None) -> set[str | None]:
    """Return the hashes of contents that the document needed before and no longer needs."""
    if indexed is not None:
        return {before.text_hash, before.vectors_hash} - {indexed.text_hash, indexed.vectors_hash}
    return {before.content_hash, before.text_hash, before.vectors_hash} if before.status == DELETED else set()


def _indexed(job: Job, indexed: Indexed, now: float) -> dict[str, object]:
    return {
        "document": job.document_id,
        "of": job.version,
        "now": now,
        "made": indexed.chunks,
        "on_pages": indexed.pages,
        "found_title": indexed.title,
        "unread": msgspec.json.encode(list(indexed.left_out)).decode() if indexed.left_out else None,
        "text": indexed.text_hash,
        "vectors": indexed.vectors_hash,
    }


def _outcome(indexed: Indexed) -> str:
    outcome = Outcome(indexed.chunks, indexed.pages or 0, indexed.embedded, dict(indexed.seconds))
    return msgspec.json.encode(outcome).decode()
