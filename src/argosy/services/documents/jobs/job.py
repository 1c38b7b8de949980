"""A job as its worker holds it, and what became of the document it indexed."""

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
    """This one included."""
    fence: int
    lane: str | None
    """Who sent it; see `turns`."""
    name: str
    source: str
    title: str | None
    """As given by the sender."""
    content_type: str
    content_hash: str | None
    metadata: Metadata = field(default_factory=dict)
    vectors: tuple[str, ...] = ()
    """Where vectors of such chunks may be kept: of the version before, of other documents with the same content."""
    generation: int | None = None
    """Of the collection; None when that is deleted."""
    size_bytes: int | None = None
    """Of the original; None where nobody looked."""
    waits: int = 0
    """How often in a row it had to wait for a service that was away."""

    @property
    def lease(self) -> tuple[int, int]:
        """Names this claim of the job: it may be claimed again by the same process."""
        return self.id, self.fence


@dataclass(frozen=True, slots=True)
class Indexed:
    """What became of a document. `title` is the one found or given; `text_hash` is its parsed text's and
    `vectors_hash` that of its chunks' vectors, both in the blob store."""

    chunks: int
    pages: int | None
    title: str | None
    text_hash: str
    vectors_hash: str | None = None
    embedded: int = 0
    """Chunks whose vectors had to be computed."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Time spent in each stage."""
    left_out: Sequence[str] = ()
    """Parts that could not be read, a sentence each."""
