"""Taking in an upload: whole or not at all, and only what is new becomes work."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from argosy.contracts.documents import Accepted, AcceptedDocument, DocumentStatus
from argosy.contracts.errors import InvalidRequest, Overloaded, TooLarge
from argosy.contracts.store import Metadata
from argosy.services.documents.queueing import OVERHEAD_BYTES, enqueue, open_batch, queue_size, seconds_per_byte
from argosy.services.documents.schema import ACTIVE, JobKind, documents, entries, jobs
from argosy.services.documents.views import eta_s

_UNDER_WAY = (DocumentStatus.QUEUED, DocumentStatus.RUNNING)
_GAVE_UP = (DocumentStatus.FAILED, DocumentStatus.DEAD)


@dataclass(frozen=True, slots=True)
class QueueLimits:
    documents: int = 10_000
    bytes: int = 4 << 30


@dataclass(frozen=True, slots=True)
class Upload:
    """One document of a request. Its content is already in the blob store under `content_hash`.

    `source` tells documents of one collection apart: the id given, else the URI sent, else the file name.
    """

    name: str
    source: str
    content_type: str
    bytes_len: int
    content_hash: str
    title: str | None = None
    metadata: Metadata = field(default_factory=dict)


def document_id(collection: str, source: str) -> str:
    """24 hexadecimal digits."""
    return hashlib.blake2b(f"{collection}\0{source}".encode(), digest_size=12).hexdigest()


class Intake:
    """Accepts uploads inside a transaction of its caller's. `settings` names how documents are processed now:
    when it changes, what is indexed already counts as changed too."""

    def __init__(self, limits: QueueLimits, settings: str) -> None:
        self.limits = limits
        self._settings = settings

    def accept(self, connection: Connection, collection: str, uploads: Sequence[Upload], now: float) -> Accepted:
        """Raises: InvalidRequest, two different documents share a source; Overloaded; TooLarge."""
        wanted = self._by_id(collection, uploads)
        known = {
            row.id: row for row in connection.execute(select(documents).where(documents.c.id.in_(list(wanted)))).all()
        }
        fingerprints = {key: self.fingerprint(upload) for key, upload in wanted.items()}
        fresh = {key for key in wanted if not _is_current(known.get(key), fingerprints[key])}
        adding = (len(fresh), sum(wanted[key].bytes_len for key in fresh))
        ahead, _ = queue_size(connection, list(fresh))
        batch_id = self.reserve(connection, adding, sorted(fresh), now)
        accepted: list[AcceptedDocument] = []
        job: int | None
        for ordinal, (key, upload) in enumerate(wanted.items()):
            row = known.get(key)
            if key in fresh:
                version = _next_version(row, fingerprints[key])
                _store(connection, key, collection, upload, fingerprints[key], version, row, now)
                size = upload.bytes_len
                job = enqueue(connection, JobKind.INDEX, key, collection, version, size, batch_id, now)
                status = DocumentStatus.QUEUED
            else:
                job, status = _under_way(connection, key)
            connection.execute(
                insert(entries).values(
                    batch_id=batch_id,
                    ordinal=ordinal,
                    document_id=key,
                    name=upload.name,
                    bytes=upload.bytes_len,
                    unchanged=status is DocumentStatus.UNCHANGED,
                    job_id=job,
                )
            )
            accepted.append(AcceptedDocument(key, upload.name, status))
        remaining = sum(wanted[entry.id].bytes_len + OVERHEAD_BYTES for entry in accepted if entry.status in _UNDER_WAY)
        return Accepted(batch_id, accepted, ahead, eta_s(connection, remaining) if remaining else 0.0)

    def reserve(self, connection: Connection, adding: tuple[int, int], replacing: Sequence[str], now: float) -> str:
        """Opens a batch that adds (documents, bytes) to the queue. Returns: its id. Raises: Overloaded, TooLarge."""
        if adding[0] > self.limits.documents or adding[1] > self.limits.bytes:
            raise TooLarge(
                f"The request holds {adding[0]} documents with {adding[1]} bytes; the queue takes at most "
                f"{self.limits.documents} documents with {self.limits.bytes} bytes. Send it in parts."
            )
        batch_id = uuid.uuid4().hex
        if not open_batch(connection, batch_id, now, adding, (self.limits.documents, self.limits.bytes), replacing):
            raise self.overloaded(connection, adding)
        return batch_id

    def overloaded(self, connection: Connection, adding: tuple[int, int]) -> Overloaded:
        """The refusal of (documents, bytes), with when to come back by the measured pace."""
        waiting, size = queue_size(connection)
        pace = seconds_per_byte(connection)
        after_s = 5.0 if pace is None else min(60.0, max(1.0, (adding[1] + adding[0] * OVERHEAD_BYTES) * pace))
        return Overloaded(
            f"The queue holds {waiting} documents with {size} bytes and has no room for {adding[0]} more with "
            f"{adding[1]} bytes; nothing was accepted. Send the request again in {after_s:.0f} seconds.",
            retry_after_s=after_s,
        )

    def fingerprint(self, upload: Upload) -> str:
        """Equal for two uploads of a source exactly when indexing both would give the same."""
        parts = (
            self._settings,
            upload.content_hash,
            upload.name,
            upload.content_type,
            upload.title,
            sorted(upload.metadata.items()),
        )
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

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
    """Indexed already, or about to be: there is nothing to do."""
    done_or_coming = (DocumentStatus.INDEXED, *_UNDER_WAY)
    return row is not None and row.fingerprint == fingerprint and row.status in done_or_coming


def _next_version(row: Any, fingerprint: str) -> int:
    if row is None:
        return 1
    again = row.fingerprint == fingerprint and row.status in _GAVE_UP
    return int(row.version) if again else int(row.version) + 1


def _under_way(connection: Connection, key: str) -> tuple[int | None, DocumentStatus]:
    """The job that already works on the document, if any."""
    row = connection.execute(
        select(jobs.c.id, jobs.c.state).where(
            jobs.c.document_id == key, jobs.c.kind == JobKind.INDEX, jobs.c.state.in_(ACTIVE)
        )
    ).first()
    return (None, DocumentStatus.UNCHANGED) if row is None else (row.id, DocumentStatus(row.state))


def _store(
    connection: Connection,
    key: str,
    collection: str,
    upload: Upload,
    fingerprint: str,
    version: int,
    row: Any,
    now: float,
) -> None:
    values = {
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
        "version": version,
        "fingerprint": fingerprint,
        "content_hash": upload.content_hash,
        "bytes": upload.bytes_len,
        "error_code": None,
        "error_detail": None,
        "updated_at": now,
    }
    if row is None:
        connection.execute(insert(documents).values(id=key, created_at=now, **values))
    else:
        connection.execute(update(documents).where(documents.c.id == key).values(**values))
