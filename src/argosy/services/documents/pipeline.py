"""One job from beginning to end: a document is read, parsed, chunked, embedded, stored and made visible; or forgotten.

Everything may happen twice (a worker dies, another takes over). Nothing doubles: chunk ids follow from document,
version and ordinal, and a version becomes visible in one step after all of its chunks are in.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import Protocol

from argosy.contracts.documents import DocumentFault
from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.errors import (
    ArgosyError,
    DocumentError,
    EmptyDocument,
    InvalidRequest,
    Overloaded,
    StorageFull,
    TooLarge,
    Unavailable,
    UnsupportedType,
    UpstreamFailed,
)
from argosy.contracts.request import Clock, Deadline, Priority, RequestContext
from argosy.contracts.store import Chunk, EnsureCollection, ForgetRequest, PublishRequest, UpsertRequest
from argosy.services.documents.blobs import BlobStore, content_hash
from argosy.services.documents.chunking import ChunkDraft, ChunkLimits, chunk
from argosy.services.documents.jobs import Indexed, Job, Jobs
from argosy.services.documents.parsed import ParsedDocument
from argosy.services.documents.schema import JobKind
from argosy.services.documents.tokens import Tokenizer

_CHUNK_IDS = uuid.UUID("6f0d3c1a-9a52-5b0e-8d5e-0f5a6e0c7b11")
BLOB_GRACE_S = 600.0
"""Content that was put this recently may belong to an upload that is just being accepted."""
STAGE_EVERY_S = 0.5


class Parser(Protocol):
    async def parse(
        self, data: bytes, name: str, timeout_s: float, content_type: str | None = None
    ) -> ParsedDocument: ...


class Embedder(Protocol):
    async def embed(self, texts: list[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        """Texts to vectors, in the order given. Raises: ArgosyError."""
        ...


class ChunkStore(Protocol):
    """Each call may be repeated. Raises: ArgosyError."""

    async def ensure(self, request: EnsureCollection, context: RequestContext) -> None: ...

    async def upsert(self, request: UpsertRequest, context: RequestContext) -> None: ...

    async def publish(self, request: PublishRequest, context: RequestContext) -> None: ...

    async def forget(self, request: ForgetRequest, context: RequestContext) -> None: ...


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    chunks: ChunkLimits = field(default_factory=ChunkLimits)
    parse_timeout_s: float = 120.0
    call_timeout_s: float = 120.0
    """For one call to the embedding service or the store."""
    batch_chunks: int = 64
    """Chunks embedded and stored in one call each; the store takes at most 200."""

    def __post_init__(self) -> None:
        if not 1 <= self.batch_chunks <= 200:
            raise ValueError("batch_chunks must be from 1 to 200")


class Pipeline:
    def __init__(
        self,
        jobs: Jobs,
        blobs: BlobStore,
        parser: Parser,
        tokenizer: Tokenizer,
        embedder: Embedder,
        store: ChunkStore,
        settings: PipelineSettings | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._jobs = jobs
        self._blobs = blobs
        self._parser = parser
        self._tokenizer = tokenizer
        self._embedder = embedder
        self._store = store
        self._settings = settings or PipelineSettings()
        self._clock = clock
        self._noted_s: dict[int, float] = {}
        """When the stage of each job in work was last written."""

    async def run(self, job: Job) -> None:
        """Does the job and records that it is done.

        Raises: ArgosyError; LeaseLost, somebody else has it now and nothing more may be done.
        """
        self._noted_s[job.id] = self._clock()
        try:
            freed = await (self._forget(job) if job.kind is JobKind.FORGET else self._index(job))
        finally:
            del self._noted_s[job.id]
        for key in freed:
            await asyncio.to_thread(self._blobs.delete, key, BLOB_GRACE_S)

    async def _index(self, job: Job) -> list[str]:
        await self._stage(job, "parse", 0.0)
        if job.content_hash is None:
            raise EmptyDocument(f"{job.name} has no stored content. Add it again.")
        data = await asyncio.to_thread(self._blobs.get, job.content_hash)
        parsed = await self._parser.parse(data, job.name, self._settings.parse_timeout_s, job.content_type)
        await self._stage(job, "chunk", 0.2)
        drafts = await asyncio.to_thread(chunk, parsed, self._tokenizer, self._settings.chunks)
        if not drafts:
            raise EmptyDocument(f"{job.name} holds no text.")
        title = job.title or parsed.title
        await self._stage(job, "embed", 0.3)
        await self._store.ensure(EnsureCollection(job.collection), self._context(job))
        await self._embed_all(job, drafts, title)
        text = parsed.text.encode("utf-8")
        await asyncio.to_thread(self._blobs.put, text)
        await asyncio.to_thread(self._jobs.stage, job, "publish", 0.95)  # always: only its holder may publish
        version = PublishRequest(job.collection, job.document_id, job.version, len(drafts))
        await self._store.publish(version, self._context(job))
        indexed = Indexed(len(drafts), len(parsed.pages) or None, title, content_hash(text))
        return await asyncio.to_thread(self._jobs.done, job, indexed)

    async def _embed_all(self, job: Job, drafts: list[ChunkDraft], title: str | None) -> None:
        """Chunk by chunk into the store, not visible yet. What is embedded is exactly what is stored."""
        model: tuple[str, int] | None = None
        size = self._settings.batch_chunks
        for at in range(0, len(drafts), size):
            part = drafts[at : at + size]
            answer = await self._embedder.embed([draft.text for draft in part], TextKind.PASSAGE, self._context(job))
            if len(answer.vectors) != len(part) * answer.dimensions * 4:
                raise UpstreamFailed("The embedding service answered with another number of vectors than was asked.")
            if model not in (None, (answer.model, answer.dimensions)):
                raise UpstreamFailed("The embedding model changed while a document was being indexed.")
            model = (answer.model, answer.dimensions)
            chunks = [as_chunk(job, draft, title) for draft in part]
            await self._store.upsert(UpsertRequest(job.collection, *model, chunks, answer.vectors), self._context(job))
            await self._stage(job, "embed", 0.3 + 0.6 * (at + len(part)) / len(drafts))

    async def _forget(self, job: Job) -> list[str]:
        await self._stage(job, "forget", 0.0)
        await self._store.forget(ForgetRequest(job.collection, job.document_id, job.version), self._context(job))
        return await asyncio.to_thread(self._jobs.done, job)

    async def _stage(self, job: Job, stage: str, progress: float) -> None:
        """Notes where the job is, at most every STAGE_EVERY_S: each note is an fsync, and a small document is done
        before anybody looks. Raises: LeaseLost.
        """
        now_s = self._clock()
        if now_s - self._noted_s.get(job.id, 0.0) >= STAGE_EVERY_S:
            self._noted_s[job.id] = now_s
            await asyncio.to_thread(self._jobs.stage, job, stage, progress)

    def _context(self, job: Job) -> RequestContext:
        deadline = Deadline.after(self._settings.call_timeout_s, self._clock)
        return RequestContext(f"job-{job.id}-{job.fence}", deadline, Priority.BULK)


def chunk_id(document_id: str, version: int, ordinal: int) -> str:
    """A UUID, the same each time."""
    return str(uuid.uuid5(_CHUNK_IDS, f"{document_id}/{version}/{ordinal}"))


def as_chunk(job: Job, draft: ChunkDraft, title: str | None) -> Chunk:
    return Chunk(
        chunk_id=chunk_id(job.document_id, job.version, draft.ordinal),
        document_id=job.document_id,
        version=job.version,
        ordinal=draft.ordinal,
        name=job.name,
        source=job.source,
        text=draft.text,
        start=draft.start,
        end=draft.end,
        title=title,
        page=draft.page,
        heading_path=draft.heading_path,
        metadata=job.metadata,
    )


def settle(jobs: Jobs, job: Job, error: Exception) -> None:
    """Records a try that went wrong, by whose fault it was. Blocking. Raises: LeaseLost.

    The document's: failed for good. A service that is away or full: the job waits, for as long as it takes. Anything
    else: tried again a few times. What the caller may read never holds an unexpected exception's own words.
    """
    if not isinstance(error, ArgosyError):
        fault = DocumentFault("internal_error", "Something went wrong inside Argosy while the document was processed.")
        jobs.fail(job, fault, retryable=True)
        return
    fault = DocumentFault(error.code, error.message)
    if isinstance(error, (Unavailable, Overloaded, StorageFull)):
        jobs.wait(job, fault)
    else:
        final = isinstance(error, (DocumentError, UnsupportedType, TooLarge, InvalidRequest))
        jobs.fail(job, fault, retryable=not final)
