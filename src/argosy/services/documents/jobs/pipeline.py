"""The pipeline of a job: a document is read, parsed, chunked, embedded, stored and published, or it is deleted.

Every step may run twice, because another worker takes over when one dies. No chunk is stored twice: its id follows from
document, version and ordinal. A version becomes visible in one step after all its chunks are stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence

from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import (
    ArgosyError,
    CollectionNotFound,
    EmptyDocument,
    NotFound,
    UpstreamFailed,
)
from argosy.contracts.request import Clock, Deadline, Priority, RequestContext
from argosy.contracts.store import DocumentFields, EnsureCollection, ForgetRequest, PublishRequest, UpsertRequest
from argosy.services.documents.chunking.enrichment import enrich
from argosy.services.documents.chunking.packer import ChunkDraft, cut
from argosy.services.documents.chunking.tokens import Tokenizer
from argosy.services.documents.jobs.collaborators import ChunkStore, Parser, Shared
from argosy.services.documents.jobs.contents import Contents
from argosy.services.documents.jobs.leases import Indexed, Job, JobLeases
from argosy.services.documents.jobs.memory_budget import MemoryBudget
from argosy.services.documents.jobs.parse_turns import ParsePlace, ParseTurns
from argosy.services.documents.jobs.pipeline_settings import PipelineSettings
from argosy.services.documents.jobs.shared_calls import ChunkEmbedder
from argosy.services.documents.jobs.shared_jobs import SharedJobs
from argosy.services.documents.jobs.stored_chunk import as_chunk
from argosy.services.documents.jobs.timing import StageTimes
from argosy.services.documents.jobs.unit_spans import packed_vectors, unit_spans
from argosy.services.documents.jobs.vectors import KeptVectors, VectorPool, text_hash
from argosy.services.documents.parsing.parsed import ParsedDocument
from argosy.services.documents.parsing.short_texts import SHORT_BYTES, SHORT_KINDS
from argosy.services.documents.parsing.titles import shortened
from argosy.services.documents.records.blobs import BlobStore
from argosy.services.documents.records.schema import JobKind
from argosy.telemetry.logs import logger

log = logger("documents")
STAGE_EVERY_S = 0.5
CUT_AT_ONCE_CHARS = 4_000
"""Length up to which a text is cut on the event loop, because that takes less time than a switch of threads."""
MAX_LEFT_OUT = 20
"""Number of sentences kept about parts that could not be read."""
MAX_LEFT_OUT_CHARS = 500
"""Longest such sentence, which may quote a name from the document."""


class Pipeline:
    def __init__(
        self,
        jobs: JobLeases,
        blobs: BlobStore,
        parser: Parser,
        tokenizer: Tokenizer,
        embedder: ChunkEmbedder,
        store: ChunkStore,
        settings: PipelineSettings | None = None,
        clock: Clock = time.monotonic,
        on_indexed: Callable[[Mapping[str, float], int, int, int], None] = lambda *counted: None,
        shared: Shared | None = None,
    ) -> None:
        """Create a pipeline.

        `on_indexed` is called for each indexed document with seconds by stage, chunks, pages and chunks embedded.
        `shared` replaces embedder and store in the first attempt of each document; without it no call is shared.
        """
        self._jobs = jobs
        self._together = SharedJobs(jobs)
        self._shared = shared
        self._blobs = blobs
        self._parser = parser
        self._tokenizer = tokenizer
        self._embedder = embedder
        self._store = store
        self._settings = settings or PipelineSettings()
        self._clock = clock
        self._on_indexed = on_indexed
        self._contents = Contents(blobs)
        self._tokenizer_works = False
        """Whether the tokenizer was used before: its first use may load or download the model."""
        self._turns = ParseTurns(self._settings.readers, self._settings.parse_turn_s)
        self._memory = MemoryBudget(self._settings.chars_in_work)
        self._noted_s: dict[tuple[int, int], float] = {}
        """Time at which the stage of each running job was last recorded."""

    async def run(self, job: Job) -> None:
        """Run the job and record that it is done.

        Raises: ArgosyError when it failed; LeaseLost when it is no longer this worker's and nothing more may be done;
        GaveWay when it must run again later.
        """
        self._noted_s[job.lease] = self._clock()
        try:
            await (self._forget(job) if job.kind is JobKind.FORGET else self._index(job))
        finally:
            del self._noted_s[job.lease]

    async def _index(self, job: Job) -> None:
        stored: list[asyncio.Future[str]] = []
        try:
            async with contextlib.AsyncExitStack() as room:
                await self._index_within(job, room, stored)
        except BaseException:
            if stored:
                await asyncio.shield(asyncio.create_task(self._give_up(job, stored)))
            raise

    async def _give_up(self, job: Job, stored: Sequence[asyncio.Future[str]]) -> None:
        """Discard contents stored by a failed job: if its document is deleted, nothing else refers to them."""
        put = await asyncio.gather(*stored, return_exceptions=True)
        try:
            await asyncio.to_thread(self._jobs.discard, [key for key in put if isinstance(key, str)])
        except ArgosyError as error:
            log.warning("stored contents not discarded", job=job.id, code=error.code)

    async def _index_within(self, job: Job, room: contextlib.AsyncExitStack, stored: list[asyncio.Future[str]]) -> None:
        """Index the document. Futures of the contents stored meanwhile are added to `stored`."""
        times = StageTimes(self._clock)
        sender = job.lane or f"document:{job.document_id}"
        if (short := await self._read_short(job, times)) is not None:
            parsed, drafts = short
            await room.enter_async_context(self._memory.held(len(parsed.text)))
        else:
            async with self._turns.place(sender) as place:  # bounds the CPU time and memory of parsing
                parsed, drafts = await self._read(job, times, place)
                await room.enter_async_context(self._memory.held(len(parsed.text)))
        with times.measured("enrich"):
            enriched = enrich(parsed, job.title, job.metadata)
            fields = DocumentFields(job.name, job.source, enriched.title, enriched.metadata)
        text = parsed.text.encode("utf-8")
        pages, left_out = len(parsed.pages) or None, _shortened(parsed.left_out)
        del parsed
        keeping = self._contents.keep_text(text, stored)
        try:
            vectors_key, embedded = await self._embed_all(job, drafts, fields, times, stored)
            text_key = await keeping
        finally:
            keeping.cancel()
        with times.measured("index"):
            await self._together.check(job)  # only the lease holder may publish
            version = PublishRequest(job.collection, job.document_id, job.version, len(drafts), fields)
            await self._services(job)[1].publish(version, self._context(job))
        self._on_indexed(times.seconds, len(drafts), pages or 0, embedded)
        indexed = Indexed(len(drafts), pages, fields.title, text_key, vectors_key, embedded, times.seconds, left_out)
        await self._together.done(job, indexed)
        stored.clear()
        if not await self._contents.has(text_key):  # a document with the same text was just deleted
            await asyncio.to_thread(self._blobs.put, text, key=text_key)

    async def _read_short(self, job: Job, times: StageTimes) -> tuple[ParsedDocument, list[ChunkDraft]] | None:
        """Read a short text together with others, without a place. Return None for any other document.

        This is for the first attempt only, as are the calls that documents share.
        """
        if self._shared is None or self._shared.texts is None or job.attempts > 1 or job.waits:
            return None
        if job.content_hash is None or job.content_type not in SHORT_KINDS:
            return None
        if job.size_bytes is None or job.size_bytes > SHORT_BYTES:
            return None
        await self._stage(job, "parse", 0.0)
        with times.measured("parse"):
            data = await self._contents.original(job.content_hash)
            parsed = await self._shared.texts.parse(data, job.name, job.content_type)
        return None if parsed is None else await self._chunked(job, parsed, times)

    async def _read(self, job: Job, times: StageTimes, place: ParsePlace) -> tuple[ParsedDocument, list[ChunkDraft]]:
        await self._stage(job, "parse", 0.0)
        if job.content_hash is None:
            raise EmptyDocument(f"{job.name} has no stored content. Add it again.")
        with times.measured("parse"):
            data = await asyncio.to_thread(self._blobs.get, job.content_hash)
            limit_s = self._settings.parse_limit_s(len(data))
            parsing = self._parser.parse(data, job.name, limit_s, job.content_type)
            parsed = await place.run(parsing, lambda: self._others_wait(job))
        return await self._chunked(job, parsed, times)

    async def _chunked(
        self, job: Job, parsed: ParsedDocument, times: StageTimes
    ) -> tuple[ParsedDocument, list[ChunkDraft]]:
        times.split("parse", "clean", parsed.stage_s.get("clean", 0.0))
        await self._stage(job, "chunk", 0.2)
        with times.measured("chunk"):
            if len(parsed.text) <= CUT_AT_ONCE_CHARS and self._tokenizer_works:
                parsed, drafts = cut(parsed, self._tokenizer, self._settings.chunks)
            else:
                parsed, drafts = await asyncio.to_thread(cut, parsed, self._tokenizer, self._settings.chunks)
                self._tokenizer_works = True
        if not drafts:
            raise EmptyDocument(f"{job.name} holds no text.")
        return parsed, drafts

    async def _others_wait(self, job: Job) -> bool:
        try:
            return await asyncio.to_thread(self._jobs.others_wait, job)
        except ArgosyError:  # the database is unavailable for a moment: continue the work
            return False

    async def _embed_all(
        self,
        job: Job,
        drafts: list[ChunkDraft],
        fields: DocumentFields,
        times: StageTimes,
        stored: list[asyncio.Future[str]],
    ) -> tuple[str, int]:
        """Embed and store the chunks part by part, not yet visible. One part is stored while the next is embedded.

        Returns: the blob key of the vectors, and the number of vectors that had to be computed.
        """
        await self._stage(job, "embed", 0.3)
        pool = await self._known(job)
        kept: KeptVectors | None = None
        embedded, size = 0, self._settings.batch_chunks
        vectors = bytearray()
        storing: asyncio.Task[None] | None = None
        try:
            for at in range(0, len(drafts), size):
                part = drafts[at : at + size]
                with times.measured("embed"):
                    answer, computed = await self._vectors(job, part, fields.title, pool)
                if kept is not None and (answer.model, answer.dimensions) != (kept.model, kept.dimensions):
                    raise UpstreamFailed("The embedding model changed while a document was being indexed.")
                kept = kept or KeptVectors(answer.model, answer.dimensions, [], b"", self._settings.vectors, [])
                kept.hashes += answer.hashes
                kept.units += answer.units
                vectors += answer.vectors
                embedded += computed
                if storing is not None:
                    await storing
                storing = asyncio.create_task(self._store_part(job, part, fields, answer, times))
                await self._stage(job, "embed", 0.3 + 0.6 * (at + len(part)) / len(drafts))
            assert kept is not None
            assert storing is not None
            kept.vectors = bytes(vectors)
            vectors.clear()
            key, _ = await asyncio.gather(self._contents.keep_vectors(kept.encode(), stored), storing)
            return key, embedded
        finally:
            if storing is not None:
                storing.cancel()

    async def _known(self, job: Job) -> VectorPool:
        """Return the reusable vectors of the current model."""
        kept = []
        for key in job.vectors:
            with contextlib.suppress(NotFound):
                found = KeptVectors.decode(await asyncio.to_thread(self._blobs.get, key, verified=True))
                kept += [] if found is None else [found]
        model = (await self._embedder.model(self._context(job))).model if kept else ""
        return VectorPool(kept, model, self._settings.vectors)

    async def _vectors(
        self, job: Job, part: list[ChunkDraft], title: str | None, pool: VectorPool
    ) -> tuple[KeptVectors, int]:
        """Return the vectors of a part and the number computed. The title stands before the text that is embedded."""
        above = f"{title}\n" if title else ""
        whole = [above + draft.text for draft in part]
        spans = [unit_spans(draft.units, len(draft.text), len(above)) for draft in part]
        hashes = [text_hash(text, own) for text, own in zip(whole, spans, strict=True)]
        missing = pool.missing(hashes)
        if not missing:
            assert pool.model is not None
            return KeptVectors(*pool.model, hashes, pool.rows(hashes, ()), units=pool.units(hashes, ())), 0
        texts = [whole[place] for place in missing]
        wanted = [spans[place] for place in missing]
        answer = await self._services(job)[0].embed(
            texts, TextKind.PASSAGE, self._context(job), spans=wanted if any(wanted) else ()
        )
        row = answer.dimensions * 4
        if len(answer.vectors) != len(texts) * row:
            raise UpstreamFailed("The embedding service returned a different number of vectors than requested.")
        if pool.model not in (None, (answer.model, answer.dimensions)):
            raise UpstreamFailed("The embedding model changed while a document was being indexed.")
        computed = [answer.vectors[at : at + row] for at in range(0, len(answer.vectors), row)]
        units = pool.units(hashes, packed_vectors(answer, wanted))
        return KeptVectors(answer.model, answer.dimensions, hashes, pool.rows(hashes, computed), units=units), len(
            missing
        )

    async def _store_part(
        self, job: Job, part: list[ChunkDraft], fields: DocumentFields, answer: KeptVectors, times: StageTimes
    ) -> None:
        chunks = [as_chunk(job, draft, own) for draft, own in zip(part, answer.units, strict=True)]
        request = UpsertRequest(
            job.collection, answer.model, answer.dimensions, chunks, answer.vectors, job.generation or 0, fields
        )
        store = self._services(job)[1]
        with times.measured("index"):
            try:
                await store.upsert(request, self._context(job))
            except CollectionNotFound:
                await asyncio.to_thread(self._jobs.check, job)  # a deleted collection must not be created again
                await store.ensure(EnsureCollection(job.collection, job.generation or 0), self._context(job))
                await store.upsert(request, self._context(job))

    async def _forget(self, job: Job) -> None:
        await self._stage(job, "forget", 0.0)
        forget = ForgetRequest(job.collection, job.document_id, job.version)
        with contextlib.suppress(CollectionNotFound):  # a missing collection holds no document
            try:
                await self._store.forget(forget, self._context(job))
            except CollectionNotFound:
                if job.generation is None:
                    raise
                # The store needs the deletion so that it refuses chunks that a slow worker may still send.
                await self._store.ensure(EnsureCollection(job.collection, job.generation), self._context(job))
                await self._store.forget(forget, self._context(job))
        await self._together.done(job)

    async def _stage(self, job: Job, stage: str, progress: float) -> None:
        """Record the stage of the job, at most every STAGE_EVERY_S.

        Each record costs an fsync, and a small document is done before anyone polls.

        Raises: LeaseLost when the job is no longer this worker's.
        """
        now_s = self._clock()
        if now_s - self._noted_s.get(job.lease, 0.0) >= STAGE_EVERY_S:
            self._noted_s[job.lease] = now_s
            await self._together.stage(job, stage, progress)

    def _services(self, job: Job) -> tuple[ChunkEmbedder, ChunkStore]:
        """Return the clients. Only first attempts share calls, so that a bad document does not break others twice."""
        if self._shared is None or job.attempts > 1 or job.waits:
            return self._embedder, self._store
        return self._shared.embedder, self._shared.store

    def _context(self, job: Job) -> RequestContext:
        deadline = Deadline.after(self._settings.call_timeout_s, self._clock)
        return RequestContext(f"job-{job.id}-{job.fence}", deadline, Priority.BULK)


def _shortened(left_out: Sequence[str]) -> list[str]:
    """Shorten the list of unread parts: an e-mail may have a hundred, and lists of documents show them for each."""
    if len(left_out) <= MAX_LEFT_OUT:
        return [shortened(sentence, MAX_LEFT_OUT_CHARS) for sentence in left_out]
    shown = MAX_LEFT_OUT - 1
    return [*_shortened(left_out[:shown]), f"{len(left_out) - shown} more parts could not be read."]
