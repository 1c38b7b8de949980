"""A leased job, and the result of indexing its document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from argosy.contracts.store import Metadata
from argosy.services.documents.records.schema import JobKind


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    kind: JobKind
    document_id: str
    collection: str
    version: int
    attempts: int
    """Number of attempts, including this one."""
    fence: int
    lane: str | None
    """Lane of the job's sender; see `fair_queue.turns`."""
    name: str
    source: str
    title: str | None
    """Title given by the sender."""
    content_type: str
    content_hash: str | None
    metadata: Metadata = field(default_factory=dict)
    vectors: tuple[str, ...] = ()
    """Blob keys of vectors that may be reused: those of the previous version or of documents with equal content."""
    generation: int | None = None
    """Generation of the collection; None when the collection is deleted."""
    size_bytes: int | None = None
    """Size of the original; None where it is not known."""
    waits: int = 0
    """Number of consecutive waits for an unavailable service."""

    @property
    def lease(self) -> tuple[int, int]:
        """Identity of this claim: the same process may claim the job again later."""
        return self.id, self.fence


@dataclass(frozen=True, slots=True)
class Indexed:
    """Result of indexing a document.

    `title` is the sender's or else the document's own. `text_hash` and `vectors_hash` are the blob keys of its parsed
    text and of its chunks' vectors.
    """

    chunks: int
    pages: int | None
    title: str | None
    text_hash: str
    vectors_hash: str | None = None
    embedded: int = 0
    """Number of chunks whose vectors had to be computed."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds spent in each stage."""
    left_out: Sequence[str] = ()
    """Parts that could not be read, one sentence each."""
