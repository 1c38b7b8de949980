"""Acceptance of uploads: a request is accepted as a whole or not at all, and only changed documents become jobs."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from argosy.contracts.documents import Accepted, AcceptedDocument, DocumentStatus
from argosy.contracts.errors import ArgosyError, InvalidRequest, Overloaded, TooLarge
from argosy.contracts.store import Metadata
from argosy.services.documents.records.estimates import by_kind, eta_s, pace
from argosy.services.documents.records.pace import OVERHEAD_BYTES, work
from argosy.services.documents.records.queueing import (
    discard,
    enqueue,
    enqueue_new,
    open_batch,
    open_lane,
    queue_size,
    supersede,
)
from argosy.services.documents.records.schema import ACTIVE, DELETED, JobKind, documents, entries, jobs

_UNDER_WAY = (DocumentStatus.QUEUED, DocumentStatus.RUNNING)
_GAVE_UP = (DocumentStatus.FAILED, DocumentStatus.DEAD)
_STORED = insert(documents).returning(*documents.c)
_STORED_NEW = insert(documents).returning(
    documents.c.id, documents.c.collection, documents.c.version, documents.c.bytes, sort_by_parameter_order=True
)
DEFAULT_RETRY_S = 5.0
"""Retry-After before any pace is measured."""
MAX_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Limits of the documents that are queued or running, all replicas together."""

    documents: int = 10_000
    bytes: int = 4 << 30


@dataclass(frozen=True, slots=True)
class Upload:
    """A document of a request.

    Its content is in the blob store under `content_hash`, or is stored there before it is accepted; None means that the
    document was refused. `source` identifies the document in its collection: the given id, else the URI sent, else the
    file name.
    """

    name: str
    source: str
    content_type: str
    bytes_len: int
    content_hash: str | None
    title: str | None = None
    metadata: Metadata = field(default_factory=dict)


def document_id(collection: str, source: str) -> str:
    """Return the id of a document, 24 hexadecimal digits, from its collection and source."""
    return hashlib.blake2b(f"{collection}\0{source}".encode(), digest_size=12).hexdigest()


class Intake:
    """Acceptance of uploads inside the caller's transaction.

    `settings` identifies how documents are processed now. When it changes, documents that are already indexed count as
    changed too.
    """

    def __init__(self, limits: QueueLimits, settings: str) -> None:
        self.limits = limits
        self._settings = settings

    def check_room(self, connection: Connection, collection: str, uploads: Sequence[Upload], now: float) -> None:
        """Check that the queue has room for the uploads.

        Raises: Overloaded when it has no room now; TooLarge when the request can never fit; InvalidRequest when two
        different documents share a source.
        """
        wanted, _, fresh = self._sorted(connection, collection, uploads)
        count, size = self._adding(wanted, fresh)
        waiting, waiting_bytes = queue_size(connection, list(fresh))
        if count and (waiting + count > self.limits.documents or waiting_bytes + size > self.limits.bytes):
            raise self.refusal(connection, (count, size), now)

    def accept(
        self, connection: Connection, collection: str, uploads: Sequence[Upload], now: float, group: str | None = None
    ) -> Accepted:
        """Accept the uploads as one batch and create a job for each new or changed document.

        Raises: InvalidRequest when two different documents share a source; Overloaded when the queue has no room now;
        TooLarge when the request can never fit.
        """
        wanted, known, fresh = self._sorted(connection, collection, uploads)
        ahead, _ = queue_size(connection, list(fresh))
        batch_id = self.reserve(connection, self._adding(wanted, fresh), sorted(fresh), now)
        lane = batch_id if group is None else f"group:{group}"
        if fresh:
            open_lane(connection, lane)
        accepted: list[AcceptedDocument] = []
        listed: list[dict[str, object]] = []
        new = {key: upload for key, upload in wanted.items() if key in fresh and key not in known}
        rows = store_new(connection, collection, [(upload, self.fingerprint(upload)) for upload in new.values()], now)
        queued = enqueue_new(connection, rows, now, batch_id=batch_id, lane=lane)
        job: int | None
        for ordinal, (key, upload) in enumerate(wanted.items()):
            if key in queued:
                job, status = queued[key], DocumentStatus.QUEUED
            elif key in fresh:
                replaced = supersede(connection, documents.c.id == key, now)
                document = store_row(connection, known[key], collection, upload, self.fingerprint(upload), now)
                job = enqueue(connection, JobKind.INDEX, document, now, batch_id=batch_id, lane=lane, replaced=replaced)
                status = DocumentStatus.QUEUED
            else:
                job, status = _under_way(connection, key)
            listed.append(
                {
                    "batch_id": batch_id,
                    "ordinal": ordinal,
                    "document_id": key,
                    "name": upload.name,
                    "bytes": upload.bytes_len,
                    "unchanged": status is DocumentStatus.UNCHANGED,
                    "job_id": job,
                }
            )
            accepted.append(AcceptedDocument(key, upload.name, status))
        connection.execute(insert(entries), listed)
        waiting = (wanted[entry.id] for entry in accepted if entry.status in _UNDER_WAY)
        left = by_kind((upload.content_type, work(upload.bytes_len, upload.content_type)) for upload in waiting)
        return Accepted(batch_id, accepted, ahead, eta_s(connection, left, now) if left else 0.0)

    def reserve(self, connection: Connection, adding: tuple[int, int], replacing: Sequence[str], now: float) -> str:
        """Open a batch that adds (documents, bytes) to the queue. Returns: its id.

        Raises: Overloaded when the queue has no room now; TooLarge when it can never fit.
        """
        if adding[0] > self.limits.documents or adding[1] > self.limits.bytes:
            raise self.refusal(connection, adding, now)
        batch_id = uuid.uuid4().hex
        if not open_batch(connection, batch_id, now, adding, (self.limits.documents, self.limits.bytes), replacing):
            raise self.refusal(connection, adding, now)
        return batch_id

    def refusal(self, connection: Connection, adding: tuple[int, int], now: float) -> ArgosyError:
        """Return the error for (documents, bytes) that do not fit, with a retry time from the measured pace."""
        if adding[0] > self.limits.documents or adding[1] > self.limits.bytes:
            return TooLarge(
                f"The request holds {adding[0]} documents with {adding[1]} bytes; the queue takes at most "
                f"{self.limits.documents} documents with {self.limits.bytes} bytes. Send it in parts."
            )
        waiting, size = queue_size(connection)
        measured = pace(connection, now)
        wanted = adding[1] + adding[0] * OVERHEAD_BYTES
        after_s = (
            DEFAULT_RETRY_S if measured is None else min(MAX_RETRY_S, max(1.0, wanted * measured.seconds_per_work))
        )
        return Overloaded(
            f"The queue holds {waiting} documents with {size} bytes and has no room for {adding[0]} more with "
            f"{adding[1]} bytes; nothing was accepted. Send the request again in {after_s:.0f} seconds.",
            retry_after_s=after_s,
        )

    def fingerprint(self, upload: Upload) -> str:
        """Return a hash that two uploads of a source share exactly when indexing both would give the same result."""
        parts = (
            self._settings,
            upload.content_hash,
            upload.name,
            upload.content_type,
            upload.title,
            sorted(upload.metadata.items()),
        )
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

    def _sorted(
        self, connection: Connection, collection: str, uploads: Sequence[Upload]
    ) -> tuple[dict[str, Upload], dict[str, Any], set[str]]:
        """Return the uploads by document id, the rows of known documents, and the ids of new or changed ones."""
        wanted = self._by_id(collection, uploads)
        rows = connection.execute(select(documents).where(documents.c.id.in_(list(wanted)))).all()
        known = {row.id: row for row in rows}
        fresh = {key for key in wanted if not _is_current(known.get(key), self.fingerprint(wanted[key]))}
        return wanted, known, fresh

    @staticmethod
    def _adding(wanted: Mapping[str, Upload], fresh: Collection[str]) -> tuple[int, int]:
        return len(fresh), sum(wanted[key].bytes_len for key in fresh)

    def _by_id(self, collection: str, uploads: Sequence[Upload]) -> dict[str, Upload]:
        wanted: dict[str, Upload] = {}
        for upload in uploads:
            other = wanted.setdefault(document_id(collection, upload.source), upload)
            if self.fingerprint(other) != self.fingerprint(upload):
                raise InvalidRequest(
                    f"Two different documents of this request have the source '{upload.source}'. "
                    "Send each file's own URI in `sources`, or an `id` with each document.",
                    param="sources",
                )
        return wanted


def _is_current(row: Any, fingerprint: str) -> bool:
    """Return whether the same version is already indexed, queued or running, so that there is nothing to do."""
    done_or_coming = (DocumentStatus.INDEXED, *_UNDER_WAY)
    return row is not None and row.fingerprint == fingerprint and row.status in done_or_coming


def _next_version(row: Any, fingerprint: str) -> int:
    if row is None:
        return 1
    again = row.fingerprint == fingerprint and row.status in _GAVE_UP
    return int(row.version) if again else int(row.version) + 1


def _under_way(connection: Connection, key: str) -> tuple[int | None, DocumentStatus]:
    """Return the active job of the document and its status; (None, UNCHANGED) without an active job."""
    row = connection.execute(
        select(jobs.c.id, jobs.c.state).where(
            jobs.c.document_id == key, jobs.c.kind == JobKind.INDEX, jobs.c.state.in_(ACTIVE)
        )
    ).first()
    return (None, DocumentStatus.UNCHANGED) if row is None else (row.id, DocumentStatus(row.state))


def store_row(connection: Connection, row: Any, collection: str, upload: Upload, fingerprint: str, now: float) -> Any:
    """Insert or update a document's row and return it. `row` is the previous row, None for a new document.

    Fields about the indexed older version stay in the row until the new version is indexed.
    """
    key = document_id(collection, upload.source)
    values = _values(row, collection, upload, fingerprint, now)
    if row is not None and row.status == DELETED:
        values["created_at"] = now
    if row is not None and row.content_hash != upload.content_hash:
        discard(connection, [row.content_hash])
    if row is None:
        return connection.execute(_STORED, {"id": key, "created_at": now, **values}).one()
    changed = update(documents).where(documents.c.id == key).values(**values)
    return connection.execute(changed.returning(*documents.c)).one()


def store_new(connection: Connection, collection: str, several: Sequence[tuple[Upload, str]], now: float) -> list[Any]:
    """Insert the rows of new documents, each given as its upload and fingerprint. Returns: the rows, in order."""
    if not several:
        return []
    values = [
        {
            "id": document_id(collection, upload.source),
            "created_at": now,
            **_values(None, collection, upload, fingerprint, now),
        }
        for upload, fingerprint in several
    ]
    return list(connection.execute(_STORED_NEW, values))


def _values(row: Any, collection: str, upload: Upload, fingerprint: str, now: float) -> dict[str, Any]:
    return {
        "collection": collection,
        "source": upload.source,
        "name": upload.name,
        "title": upload.title,
        "given_title": upload.title,
        "content_type": upload.content_type,
        "metadata": msgspec.json.encode(upload.metadata).decode(),
        "status": DocumentStatus.QUEUED,
        "stage": None,
        "attempts": 0,
        "version": _next_version(row, fingerprint),
        "fingerprint": fingerprint,
        "content_hash": upload.content_hash,
        "bytes": upload.bytes_len,
        "error_code": None,
        "error_detail": None,
        "updated_at": now,
    }
