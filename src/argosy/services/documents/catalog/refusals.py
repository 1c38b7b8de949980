"""Records of documents that were never accepted, kept with the reason so that lists of documents are complete.

The service itself keeps nothing of a refused upload. A client that uploads a folder reports afterwards which documents
were refused or could not be read. They become failed documents without content, which a later upload of the same source
replaces.
"""

from __future__ import annotations

import uuid
from pathlib import PurePosixPath

from sqlalchemy import Connection, insert, select, update

from argosy.contracts.documents import UNREADABLE_FILE, Accepted, AcceptedDocument, DocumentStatus, RefusedUpload
from argosy.contracts.errors import BY_CODE, InvalidRequest
from argosy.services.documents.catalog.intake import Upload, document_id, store_row
from argosy.services.documents.catalog.uploads import check_source, clean_name
from argosy.services.documents.parsing.formats import SUFFIXES
from argosy.services.documents.records.queueing import enqueue, supersede
from argosy.services.documents.records.schema import JobKind, JobState, batches, documents, entries, jobs

UNKNOWN_TYPE = "application/octet-stream"
MAX_DETAIL_CHARS = 1000
CODES = frozenset({*BY_CODE, UNREADABLE_FILE})


def checked(refused: RefusedUpload, most: int) -> RefusedUpload:
    """Return `refused` with cleaned names and details of at most MAX_DETAIL_CHARS.

    Raises: InvalidRequest when the number of documents, a name, a source or an error code is not valid.
    """
    if not 1 <= len(refused.documents) <= most:
        raise InvalidRequest(f"`documents` has {len(refused.documents)} items; send 1 to {most}.", param="documents")
    for index, document in enumerate(refused.documents):
        place = f"documents[{index}]"
        document.name = clean_name(document.name, f"{place}.name")
        check_source(document.source, f"{place}.source")
        if document.error.code not in CODES:
            raise InvalidRequest(
                f"{place}.error.code is not one of the documented codes. Send one of them.", param=f"{place}.error.code"
            )
        document.error.detail = document.error.detail[:MAX_DETAIL_CHARS]
    return refused


def record(connection: Connection, refused: RefusedUpload, now: float) -> Accepted:
    """Record the documents as a batch of failed documents. Indexed older versions stay in the index."""
    batch_id = uuid.uuid4().hex
    connection.execute(insert(batches).values(id=batch_id, created_at=now))
    return Accepted(batch_id, _fail_all(connection, refused, batch_id, now), 0, 0.0)


def _fail_all(connection: Connection, refused: RefusedUpload, batch_id: str, now: float) -> list[AcceptedDocument]:
    failed = []
    for ordinal, document in enumerate(refused.documents):
        key = document_id(refused.collection, document.source)
        kind = SUFFIXES.get(PurePosixPath(document.name).suffix.lower(), UNKNOWN_TYPE)
        upload = Upload(document.name, document.source, kind, document.bytes, None)
        fault = {"error_code": document.error.code, "error_detail": document.error.detail}
        replaced = supersede(connection, documents.c.id == key, now)
        before = connection.execute(select(documents).where(documents.c.id == key)).first()
        row = store_row(connection, before, refused.collection, upload, "", now)
        job = enqueue(connection, JobKind.INDEX, row, now, batch_id=batch_id, replaced=replaced)
        ended = {"state": JobState.FAILED, "finished_at": now}
        connection.execute(update(jobs).where(jobs.c.id == job).values(**ended, **fault))
        connection.execute(update(documents).where(documents.c.id == key).values(status=DocumentStatus.FAILED, **fault))
        entry = {"document_id": key, "name": document.name, "bytes": document.bytes, "unchanged": False, "job_id": job}
        connection.execute(insert(entries).values(batch_id=batch_id, ordinal=ordinal, **entry))
        failed.append(AcceptedDocument(key, document.name, DocumentStatus.FAILED))
    return failed
