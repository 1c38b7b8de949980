"""Erasure of documents from the catalog: rows become tombstones without data, stored contents are discarded."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select, update

from argosy.services.documents.records.queueing import STORED
from argosy.services.documents.records.schema import DELETED, discards, documents, entries, jobs

_EMPTY: dict[str, object] = {
    "status": DELETED,
    "name": "",
    "source": "",
    "title": None,
    "given_title": None,
    "metadata": "{}",
    "fingerprint": "",
    "content_hash": None,
    "text_hash": None,
    "vectors_hash": None,
    "stage": None,
    "chunks": None,
    "pages": None,
    "left_out": None,
    "error_code": None,
    "error_detail": None,
}


def erase(connection: Connection, which: Any, now: float) -> int:
    """Erase the documents that the condition selects. Returns: how many.

    A tombstone keeps id, collection and version, so that a later upload does not reuse a version. Names in batches and
    error messages of jobs are erased too, because both quote the document.
    """
    chosen = select(documents.c.id).where(which)
    for column in STORED:
        lost = select(column).where(which, column.is_not(None)).distinct()
        connection.execute(insert(discards).from_select(["hash"], lost))
    connection.execute(update(entries).where(entries.c.document_id.in_(chosen)).values(name=""))
    quoting = jobs.c.document_id.in_(chosen) & jobs.c.error_detail.is_not(None)
    connection.execute(update(jobs).where(quoting).values(error_detail=""))
    return connection.execute(update(documents).where(which).values(updated_at=now, **_EMPTY)).rowcount
