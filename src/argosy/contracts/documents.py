"""What is uploaded, and what became of it."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from argosy.contracts.store import Metadata

MAX_SOURCE_CHARS = 2048
MAX_TITLE_CHARS = 512
MAX_METADATA_KEYS = 64
MAX_METADATA_KEY_CHARS = 128
MAX_METADATA_VALUE_CHARS = 4096
MAX_METADATA_BYTES = 16 * 2**10
"""Of all of one document's metadata, written as JSON."""
MAX_TEXTS_BYTES = 32 * 2**20
"""Of an upload in JSON. A longer text is sent as a file."""


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


def _documented(**schema: object) -> msgspec.Meta:
    """A bound for the API's description; the documents service checks it with an error that names the remedy."""
    return msgspec.Meta(extra_json_schema=schema)


CollectionName = Annotated[str, _documented(pattern="^[a-z0-9_-]{1,64}$")]


class TextDocument(msgspec.Struct, forbid_unknown_fields=True):
    text: Annotated[str, _documented(minLength=1)]
    id: Annotated[str | None, _documented(minLength=1, maxLength=MAX_SOURCE_CHARS)] = None
    title: Annotated[str | None, _documented(maxLength=MAX_TITLE_CHARS)] = None
    metadata: Annotated[Metadata, _documented(maxProperties=MAX_METADATA_KEYS)] = {}


class TextUpload(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON form of an upload."""

    documents: Annotated[list[TextDocument], _documented(minItems=1)]
    collection: CollectionName = "default"
    group: Annotated[str | None, _documented(pattern="^[A-Za-z0-9_-]{1,64}$")] = None
    """Requests of one group take turns with other senders as one."""


UNREADABLE_FILE = "unreadable_file"
"""Code of a document that its sender could not read where it lies."""


class RefusedDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A document that was not taken, and why."""

    name: Annotated[str, _documented(minLength=1)]
    source: Annotated[str, _documented(minLength=1, maxLength=MAX_SOURCE_CHARS)]
    error: DocumentFault
    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0


class RefusedUpload(msgspec.Struct, forbid_unknown_fields=True):
    documents: Annotated[list[RefusedDocument], _documented(minItems=1)]
    collection: CollectionName = "default"


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
    left_out: list[str] = []
    """Parts of the indexed version that could not be read, a sentence each; the rest is indexed."""


class DocumentPage(msgspec.Struct):
    """`next` is what to send as `after` for the following page; None on the last one."""

    documents: list[DocumentView]
    next: str | None = None


class BatchView(msgspec.Struct):
    """`total` is fixed at acceptance; `progress` never falls. `queue_position` counts the documents of others that
    were accepted before it while nothing of it has begun."""

    id: str
    total: int
    counts: dict[str, int]
    progress: float
    done: bool
    eta_s: float | None
    documents: list[DocumentView]
    queue_position: int = 0


class JobView(msgspec.Struct):
    """`kind` is index or forget; `state` is queued, running, done, failed, dead or cancelled. Times are UTC seconds."""

    id: int
    kind: str
    state: str
    document_id: str
    collection: str
    name: str
    source: str
    version: int
    batch_id: str | None
    bytes: int
    attempts: int
    run_at: float
    started_at: float | None
    finished_at: float | None
    error: DocumentFault | None = None


class JobPage(msgspec.Struct):
    """Newest first. `next` is what to send as `after` for the following page; None on the last one."""

    jobs: list[JobView]
    next: int | None = None


class StageTime(msgspec.Struct):
    """Seconds that documents spent in one stage."""

    count: int
    mean_s: float
    p95_s: float


class IngestionReport(msgspec.Struct):
    """What became of documents within the last `window_s`, and how the queue is now.

    Rates are per second of that window in which anything was in work (`busy_s`).
    """

    window_s: float
    processed: int
    indexed: int
    errors: dict[str, int]
    stages: dict[str, StageTime]
    queue_documents: int
    queue_bytes: int
    workers_busy: int
    busy_s: float
    documents_per_s: float | None
    pages_per_s: float | None
    chunks_per_s: float | None
    chunks: int
    chunks_embedded: int


class CollectionView(msgspec.Struct):
    name: str
    documents: int
    created_at: float


class CollectionList(msgspec.Struct):
    """By name."""

    collections: list[CollectionView]


class Forgotten(msgspec.Struct):
    """The answer to a document's deletion."""

    id: str
    deleted: bool = True


class Dropped(msgspec.Struct):
    """The answer to a collection's deletion; `documents` is how many were in it."""

    name: str
    documents: int
    deleted: bool = True


class Cancelled(msgspec.Struct):
    """The answer to a batch's cancellation; `cancelled` is how many of its documents it reached."""

    id: str
    cancelled: int


class CollectionCreate(msgspec.Struct, forbid_unknown_fields=True):
    name: CollectionName
