"""What is uploaded, and what became of it."""

from __future__ import annotations

import enum

import msgspec

from argosy.contracts.store import Metadata


class DocumentStatus(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    INDEXED = "indexed"
    FAILED = "failed"
    DEAD = "dead"
    UNCHANGED = "unchanged"


TERMINAL = frozenset({DocumentStatus.INDEXED, DocumentStatus.FAILED, DocumentStatus.DEAD, DocumentStatus.UNCHANGED})


class DocumentFault(msgspec.Struct):
    code: str
    detail: str


class AcceptedDocument(msgspec.Struct):
    id: str
    name: str
    status: DocumentStatus


class Accepted(msgspec.Struct):
    """The answer to an upload: everything in it is on disk."""

    batch_id: str
    documents: list[AcceptedDocument]
    queue_position: int
    estimated_seconds: float | None


class TextDocument(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    id: str | None = None
    title: str | None = None
    metadata: Metadata = {}


class TextUpload(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON form of an upload."""

    documents: list[TextDocument]
    collection: str = "default"


class DocumentView(msgspec.Struct):
    id: str
    collection: str
    name: str
    source: str
    status: DocumentStatus
    stage: str | None
    attempts: int
    version: int
    bytes: int
    chunks: int | None
    pages: int | None
    title: str | None
    content_type: str
    created_at: float
    updated_at: float
    error: DocumentFault | None = None
    metadata: Metadata = {}


class DocumentPage(msgspec.Struct):
    """`next` is what to send as `after` for the following page; None on the last one."""

    documents: list[DocumentView]
    next: str | None = None


class BatchView(msgspec.Struct):
    """`total` is fixed at acceptance; `progress` never falls."""

    id: str
    total: int
    counts: dict[str, int]
    progress: float
    done: bool
    eta_s: float | None
    documents: list[DocumentView]


class CollectionView(msgspec.Struct):
    name: str
    documents: int
    created_at: float


class CollectionCreate(msgspec.Struct, forbid_unknown_fields=True):
    name: str
