"""Statements that lease jobs to a worker. They are built once because building one costs more than running it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, func, select, update

from argosy.contracts.documents import DocumentStatus
from argosy.contracts.store import Metadata
from argosy.services.documents.jobs.fair_queue import due, expired
from argosy.services.documents.jobs.job import Job
from argosy.services.documents.records.schema import DELETED, JobKind, JobState, collections, documents, jobs

ANY_DUE = select(jobs.c.id).where(expired(bindparam("now")) | due(bindparam("now"))).limit(1)
_LEASE = (
    update(jobs)
    .where(jobs.c.id.in_(bindparam("jobs", expanding=True)))
    .values(
        state=JobState.RUNNING,
        attempts=jobs.c.attempts + 1,
        fence=jobs.c.fence + 1,
        worker=bindparam("claimed_by"),
        started_at=bindparam("now"),
        lease_until=bindparam("until"),
    )
    .returning(*jobs.c)
)
_BEGIN = (
    update(documents)
    .where(
        documents.c.id == bindparam("document"), documents.c.version == bindparam("of"), documents.c.status != DELETED
    )
    .values(updated_at=bindparam("now"), status=DocumentStatus.RUNNING, attempts=bindparam("tries"))
)


_DOCUMENTS = select(documents).where(documents.c.id.in_(bindparam("ids", expanding=True)))
_GENERATIONS = select(collections.c.name, func.coalesce(collections.c.generation, 0)).where(
    collections.c.name.in_(bindparam("names", expanding=True))
)
_SAME_CONTENT = select(documents.c.content_hash, documents.c.vectors_hash).where(
    documents.c.content_hash.in_(bindparam("contents", expanding=True)), documents.c.vectors_hash.is_not(None)
)


def lease(connection: Connection, taken: Sequence[int], worker: str, now: float, until: float) -> list[Job]:
    """Lease the jobs with those ids and mark their documents as running. Returns: the jobs, in the order given."""
    if not taken:
        return []
    asked = {"jobs": list(taken), "claimed_by": worker, "now": now, "until": until}
    leased = {row.id: row for row in connection.execute(_LEASE, asked)}
    return _begun(connection, [leased[job] for job in taken], now)


def _begun(connection: Connection, rows: Sequence[Any], now: float) -> list[Job]:
    """Return the jobs of rows that were just leased, and mark their documents as running."""
    marks = [
        {"document": row.document_id, "of": row.version, "now": now, "tries": row.attempts}
        for row in rows
        if row.kind == JobKind.INDEX
    ]
    if marks:
        connection.execute(_BEGIN, marks)
    ids = list({row.document_id for row in rows})
    found = {row.id: row for row in connection.execute(_DOCUMENTS, {"ids": ids})}
    kept = _kept_vectors(connection, found.values())
    names = list({row.collection for row in rows})
    generations = {row[0]: row[1] for row in connection.execute(_GENERATIONS, {"names": names})}
    return [
        Job(
            id=row.id,
            kind=JobKind(row.kind),
            document_id=row.document_id,
            collection=row.collection,
            version=row.version,
            attempts=row.attempts,
            fence=row.fence,
            lane=row.lane,
            name=found[row.document_id].name,
            source=found[row.document_id].source,
            title=found[row.document_id].given_title,
            content_type=found[row.document_id].content_type,
            content_hash=found[row.document_id].content_hash,
            metadata=msgspec.json.decode(found[row.document_id].metadata, type=Metadata),
            vectors=kept.get(row.document_id, ()),
            generation=generations.get(row.collection),
            size_bytes=row.bytes,
            waits=row.waits,
        )
        for row in rows
    ]


def _kept_vectors(connection: Connection, rows: Collection[Any]) -> dict[str, tuple[str, ...]]:
    """Return, by document, the blob keys of reusable vectors: its previous version's, else those of equal content."""
    kept: dict[str, tuple[str, ...]] = {row.id: (row.vectors_hash,) for row in rows if row.vectors_hash is not None}
    without = {row.content_hash for row in rows if row.vectors_hash is None and row.content_hash is not None}
    if without:
        same = connection.execute(_SAME_CONTENT, {"contents": list(without)})
        found = {row.content_hash: (row.vectors_hash,) for row in same}
        kept |= {row.id: found[row.content_hash] for row in rows if row.id not in kept and row.content_hash in found}
    return kept
