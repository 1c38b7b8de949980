"""Uploads and the state of documents, batches, jobs and collections."""

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
"""Largest size of the metadata of one document, written as JSON."""
MAX_TEXTS_BYTES = 32 * 2**20
"""Largest size of an upload in JSON. A longer text must be sent as a file."""


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
    """Response to an upload: all of its documents are on disk."""

    batch_id: str
    documents: list[AcceptedDocument]
    queue_position: int
    estimated_seconds: float | None


def _documented(**schema: object) -> msgspec.Meta:
    """Return a bound for the description of the API. The documents service checks it and names the remedy."""
    return msgspec.Meta(extra_json_schema=schema)


CollectionName = Annotated[str, _documented(pattern="^[a-z0-9_-]{1,64}$")]


class TextDocument(msgspec.Struct, forbid_unknown_fields=True):
    text: Annotated[str, _documented(minLength=1)]
    id: Annotated[str | None, _documented(minLength=1, maxLength=MAX_SOURCE_CHARS)] = None
    title: Annotated[str | None, _documented(maxLength=MAX_TITLE_CHARS)] = None
    metadata: Annotated[Metadata, _documented(maxProperties=MAX_METADATA_KEYS)] = {}


class TextUpload(msgspec.Struct, forbid_unknown_fields=True):
    """Upload in JSON form."""

    documents: Annotated[list[TextDocument], _documented(minItems=1)]
    collection: CollectionName = "default"
    group: Annotated[str | None, _documented(pattern="^[A-Za-z0-9_-]{1,64}$")] = None
    """Group of the request: all requests of one group take turns with other senders as a single sender."""


UNREADABLE_FILE = "unreadable_file"
"""Error code of a document that its sender could not read from its place."""


class RefusedDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Document that was not uploaded, and the reason."""

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
    """Parts of the indexed version that could not be read, one sentence each; all other parts are indexed."""


class DocumentPage(msgspec.Struct):
    """Page of documents. `next` is the value of `after` for the next page; None on the last page."""

    documents: list[DocumentView]
    next: str | None = None


class BatchView(msgspec.Struct):
    """State of a batch. `total` is fixed at acceptance, and `progress` never falls.

    `queue_position` counts the documents of other batches that were accepted earlier, while no document of this batch
    has begun.
    """

    id: str
    total: int
    counts: dict[str, int]
    progress: float
    done: bool
    eta_s: float | None
    documents: list[DocumentView]
    queue_position: int = 0


class JobView(msgspec.Struct):
    """State of a job. `kind` is index or forget; `state` is queued, running, done, failed, dead or cancelled.

    Times are UTC seconds.
    """

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
    """Page of jobs, newest first. `next` is the value of `after` for the next page; None on the last page."""

    jobs: list[JobView]
    next: int | None = None


class StageTime(msgspec.Struct):
    """Seconds that documents spent in one stage."""

    count: int
    mean_s: float
    p95_s: float


class IngestionReport(msgspec.Struct):
    """Results of ingestion within the last `window_s`, and the queue now.

    Rates are per second of the part of the window in which a document was being processed (`busy_s`).
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
    """Collection. `languages` are those of its chunks (ISO 639-1), most frequent first.

    They are empty while the store cannot be asked. `warning` says that the embedding model does not know one of them.
    """

    name: str
    documents: int
    created_at: float
    languages: list[str] = []
    warning: str | None = None


class CollectionList(msgspec.Struct):
    """All collections, sorted by name."""

    collections: list[CollectionView]


class Forgotten(msgspec.Struct):
    """Response to the deletion of a document."""

    id: str
    deleted: bool = True


class Dropped(msgspec.Struct):
    """Response to the deletion of a collection; `documents` is the number of documents that it had."""

    name: str
    documents: int
    deleted: bool = True


class Cancelled(msgspec.Struct):
    """Response to the cancellation of a batch; `cancelled` is the number of its documents that were cancelled."""

    id: str
    cancelled: int


class CollectionCreate(msgspec.Struct, forbid_unknown_fields=True):
    name: CollectionName
