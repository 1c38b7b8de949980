from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from argosy.contracts.documents import DocumentStatus, DocumentView
from argosy.contracts.embedding import EmbedResponse, ModelInfo, Spans, TextKind
from argosy.contracts.errors import (
    ArgosyError,
    CollectionNotFound,
    Conflict,
    Internal,
    ModelMissing,
    NoTextInDocument,
    Overloaded,
    Unavailable,
    UpstreamFailed,
)
from argosy.contracts.request import Priority, RequestContext
from argosy.contracts.store import Chunk, EnsureCollection, ForgetRequest, PublishRequest, UpsertRequest
from argosy.services.documents.catalog.intake import document_id
from argosy.services.documents.chunking.packer import ChunkLimits, cut
from argosy.services.documents.jobs.collaborators import Shared
from argosy.services.documents.jobs.failure_policy import settle
from argosy.services.documents.jobs.leases import LeaseLost
from argosy.services.documents.jobs.pipeline import MAX_LEFT_OUT, Pipeline
from argosy.services.documents.jobs.pipeline_settings import PipelineSettings
from argosy.services.documents.jobs.statistics import report
from argosy.services.documents.jobs.stored_chunk import chunk_id
from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.parsed import PageSpan, ParsedDocument
from argosy.services.documents.parsing.short_texts import SHORT_BYTES, ShortTexts
from argosy.services.documents.records.blobs import content_hash
from tests.chunk_store import MemoryChunkStore
from tests.pipeline_parts import MemoryEmbedder, MemoryParser, vector_of
from tests.unit.documents.chunking.test_packer import HANDBOOK, Pieces
from tests.waiting import until

if TYPE_CHECKING:
    from tests.unit.documents.conftest import Desk

pytestmark = pytest.mark.unit


class World:
    """Fake services around the pipeline. A call raises its entry in `fault` after running its entry in `before`."""

    def __init__(self) -> None:
        self.fault: dict[str, Exception] = {}
        self.calls: list[str] = []
        self.store = MemoryChunkStore()
        self.embedded: list[str] = []
        self.published: list[PublishRequest] = []
        self.forgotten: list[ForgetRequest] = []
        self.largest = 0
        self.parse_timeout_s = 0.0
        self.parser = MemoryParser()
        self.embedder = MemoryEmbedder()
        self.left_out: list[str] = []
        self.pages: list[PageSpan] = []

    @property
    def points(self) -> dict[str, Chunk]:
        """Return all chunks in the store, published or not, of all collections."""
        return {key: chunk for held in self.store.collections.values() for key, chunk in held.points.items()}

    @property
    def vectors(self) -> dict[str, bytes]:
        return {key: row for held in self.store.collections.values() for key, row in held.vectors.items()}

    def _called(self, name: str, context: RequestContext | None = None) -> None:
        self.calls.append(name)
        if context is not None:
            assert context.priority is Priority.BULK
            assert context.deadline.remaining_s() > 0
        if name in self.fault:
            raise self.fault.pop(name)

    async def parse(self, data: bytes, name: str, timeout_s: float, content_type: str | None = None) -> ParsedDocument:
        self._called("parse")
        self.parse_timeout_s = timeout_s
        parsed = await self.parser.parse(data, name, timeout_s, content_type)
        return replace(parsed, title="Parsed title", markdown=True, pages=self.pages, left_out=self.left_out)

    async def embed(
        self, texts: list[str], kind: TextKind, context: RequestContext, *, spans: Sequence[Spans] = ()
    ) -> EmbedResponse:
        self._called("embed", context)
        assert kind is TextKind.PASSAGE
        self.embedded += texts
        return await self.embedder.embed(texts, kind, context, spans=spans)

    async def model(self, context: RequestContext) -> ModelInfo:
        self._called("model", context)
        return await self.embedder.model(context)

    async def ensure(self, request: EnsureCollection, context: RequestContext) -> None:
        self._called("ensure", context)
        await self.store.ensure(request, context)

    async def upsert(self, request: UpsertRequest, context: RequestContext) -> None:
        self._called("upsert", context)
        self.largest = max(self.largest, len(request.chunks))
        await self.store.upsert(request, context)

    async def publish(self, request: PublishRequest, context: RequestContext) -> None:
        self._called("publish", context)
        await self.store.publish(request, context)
        self.published.append(request)

    async def forget(self, request: ForgetRequest, context: RequestContext) -> None:
        self._called("forget", context)
        await self.store.forget(request, context)
        self.forgotten.append(request)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def pipeline(desk: Desk, world: World) -> Pipeline:
    settings = PipelineSettings(ChunkLimits(40), batch_chunks=3)
    return Pipeline(desk.jobs, desk.blobs, world, Pieces(), world, world, settings)


def add(desk: Desk, content: bytes = HANDBOOK.encode(), name: str = "handbook.md") -> str:
    desk.blobs.put(content)
    upload = desk.upload(name, content, content_type="text/markdown", metadata={"port": "Kestrel"})
    return desk.catalog.accept("default", [upload]).documents[0].id


async def attempt(desk: Desk, pipeline: Pipeline) -> DocumentView:
    """Claim one job, run it and settle it as the worker does."""
    job = desk.claim()
    try:
        await pipeline.run(job)
    except LeaseLost:
        raise
    except Exception as error:
        settle(desk.jobs, job, error)
    return desk.catalog.document(job.document_id)


async def test_a_document_is_stored_whole_and_then_published(desk: Desk, world: World, pipeline: Pipeline) -> None:
    key = add(desk)
    view = await attempt(desk, pipeline)
    assert (view.status, view.title, view.chunks) == (DocumentStatus.INDEXED, "Parsed title", len(world.points))
    assert len(world.points) > 6
    [published] = world.published
    assert (published.collection, published.document_id, published.version) == ("default", key, 1)
    assert published.chunks == len(world.points)
    assert world.calls[-1] == "publish"
    assert world.largest <= 3
    stored = desk.catalog.text_hash(key)
    assert stored is not None
    text = desk.blobs.get(stored).decode()
    for point in world.store.visible():
        assert text[point.start : point.end] == point.text
        assert (point.name, point.source, point.metadata) == ("handbook.md", "handbook.md", {"port": "Kestrel"})
        assert str(uuid.UUID(point.chunk_id)) == point.chunk_id


async def test_a_chunk_knows_the_pages_it_begins_and_ends_on(desk: Desk, world: World, pipeline: Pipeline) -> None:
    text = "A sentence that begins on one page and goes on to the very end of another."
    world.pages = [PageSpan(3, 0, 30), PageSpan(4, 30, len(text))]
    add(desk, text.encode())
    await attempt(desk, pipeline)
    assert [(point.page, point.last_page) for point in world.points.values()] == [(3, 4)]


async def test_what_could_not_be_read_is_told_until_a_version_that_is_whole(
    desk: Desk, world: World, pipeline: Pipeline
) -> None:
    world.left_out = ["tool.exe is a program, which is not supported."]
    key = add(desk)
    assert (await attempt(desk, pipeline)).left_out == world.left_out
    desk.blobs.put(b"text")
    batch = desk.add("other")
    await attempt(desk, pipeline)
    [listed] = desk.catalog.batch(batch).documents
    assert [view.left_out for view in (listed, *desk.catalog.documents().documents)] == [world.left_out] * 3
    world.left_out = []
    add(desk, b"All of it can be read now.")
    assert (await attempt(desk, pipeline)).left_out == []
    assert desk.catalog.document(key).left_out == []


async def test_a_long_list_of_what_could_not_be_read_is_shortened(desk: Desk, world: World, pipeline: Pipeline) -> None:
    world.left_out = [f"Part {n} is broken." for n in range(100)]
    add(desk)
    told = (await attempt(desk, pipeline)).left_out
    assert (len(told), told[-1]) == (MAX_LEFT_OUT, "81 more parts could not be read.")


async def test_a_larger_document_has_more_time_to_be_parsed(desk: Desk, world: World) -> None:
    settings = PipelineSettings(ChunkLimits(40), parse_timeout_s=30.0, parse_timeout_per_mib_s=1024.0)
    for size in (1024, 5 * 1024):
        add(desk, b"word " * (size // 5 + 1))
        await attempt(desk, Pipeline(desk.jobs, desk.blobs, world, Pieces(), world, world, settings))
        assert world.parse_timeout_s == pytest.approx(30 + size / 1024, abs=0.01)


async def test_a_collection_that_the_store_lacks_is_made(desk: Desk, world: World, pipeline: Pipeline) -> None:
    add(desk)
    world.fault["upsert"] = CollectionNotFound("There is no collection.")
    assert (await attempt(desk, pipeline)).status is DocumentStatus.INDEXED
    assert world.calls.count("ensure") == 1


def embedded_text(chunk: Chunk) -> str:
    """Return the text of which the vector of a chunk is made: the title of its document stands first."""
    return f"Parsed title\n{chunk.text}"


async def test_only_chunks_whose_text_changed_are_embedded(desk: Desk, world: World, pipeline: Pipeline) -> None:
    add(desk)
    first = await attempt(desk, pipeline)
    before = dict(world.points)
    world.embedded.clear()
    add(desk, HANDBOOK.encode() + b"\n## New\n\nA paragraph that was not there.")
    second = await attempt(desk, pipeline)
    assert (second.status, second.version) == (DocumentStatus.INDEXED, 2)
    assert first.chunks is not None
    assert 0 < len(world.embedded) < first.chunks / 2
    texts = {embedded_text(world.points[key]) for key in world.points.keys() - before.keys()}
    assert set(world.embedded) == texts - {embedded_text(chunk) for chunk in before.values()}
    for key in world.points.keys() - before.keys():
        assert world.vectors[key] == vector_of(embedded_text(world.points[key]))


async def test_a_changed_title_is_embedded_with_every_chunk(desk: Desk, world: World, pipeline: Pipeline) -> None:
    add(desk)
    first = await attempt(desk, pipeline)
    world.embedded.clear()
    desk.catalog.accept("default", [desk.upload("handbook.md", HANDBOOK.encode(), title="Another title")])
    second = await attempt(desk, pipeline)
    assert (second.version, len(world.embedded)) == (2, first.chunks)
    assert all(text.startswith("Another title\n") for text in world.embedded)


async def test_the_same_bytes_under_another_source_are_not_embedded_again(
    desk: Desk, world: World, pipeline: Pipeline
) -> None:
    add(desk)
    await attempt(desk, pipeline)
    world.embedded.clear()
    moved = desk.upload("moved.md", HANDBOOK.encode(), content_type="text/markdown")
    desk.catalog.accept("default", [moved])
    assert (await attempt(desk, pipeline)).status is DocumentStatus.INDEXED
    assert world.embedded == []
    assert all(world.vectors[key] == vector_of(embedded_text(chunk)) for key, chunk in world.points.items())


async def test_vectors_of_another_model_are_not_taken_again(desk: Desk, world: World, pipeline: Pipeline) -> None:
    add(desk)
    view = await attempt(desk, pipeline)
    world.embedded.clear()
    world.embedder.serves = "other"
    desk.catalog.accept("elsewhere", [desk.upload("moved.md", HANDBOOK.encode())])
    await attempt(desk, pipeline)
    assert len(world.embedded) == view.chunks


async def test_vectors_made_with_other_settings_are_not_taken_again(desk: Desk, world: World) -> None:
    for vectors in ("fp32", "fp32", "int8"):
        settings = PipelineSettings(ChunkLimits(40), vectors=vectors)
        world.embedded.clear()
        desk.catalog.accept("default", [desk.upload(f"{len(world.published)}.md", HANDBOOK.encode())])
        desk.blobs.put(HANDBOOK.encode())
        view = await attempt(desk, Pipeline(desk.jobs, desk.blobs, world, Pieces(), world, world, settings))
        assert len(world.embedded) == (0 if len(world.published) == 2 else view.chunks)


async def test_kept_vectors_that_are_damaged_or_gone_are_computed_anew(
    desk: Desk, world: World, pipeline: Pipeline
) -> None:
    add(desk)
    first = await attempt(desk, pipeline)
    for key in set(desk.blobs.keys()) - {content_hash(HANDBOOK.encode())}:
        desk.blobs.delete(key)
    world.embedded.clear()
    desk.catalog.accept("default", [desk.upload("moved.md", HANDBOOK.encode())])
    assert (await attempt(desk, pipeline)).status is DocumentStatus.INDEXED
    assert len(world.embedded) == first.chunks


async def test_what_each_stage_took_is_kept(desk: Desk, pipeline: Pipeline) -> None:
    add(desk)
    await attempt(desk, pipeline)
    told = report(desk.database, 3600)
    assert set(told.stages) == {"parse", "clean", "enrich", "chunk", "embed", "index"}
    assert (told.processed, told.indexed, told.errors, told.queue_documents) == (1, 1, {}, 0)
    assert told.chunks == told.chunks_embedded > 6


async def test_no_more_text_is_in_work_than_there_is_room_for(
    desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check the limit with many documents parsed at once: those waiting for vectors or being stored take memory."""
    texts = [f"Berth {number} " + "is long " * 20 for number in range(5)]
    room = 2 * (len(texts[0]) + 1) + 10
    settings = PipelineSettings(ChunkLimits(40), readers=5, chars_in_work=room)
    pipeline = Pipeline(desk.jobs, desk.blobs, world, Pieces(), world, world, settings)
    may_leave, inside, peak, was_cut = asyncio.Semaphore(0), 0, 0, 0
    embed = world.embed

    async def slow(
        texts: list[str], kind: TextKind, context: RequestContext, *, spans: Sequence[Spans] = ()
    ) -> EmbedResponse:
        nonlocal inside, peak
        inside += 1
        peak = max(peak, inside)
        await may_leave.acquire()
        inside -= 1
        return await embed(texts, kind, context)

    def counted(*given: Any) -> Any:
        nonlocal was_cut
        try:
            return cut(*given)
        finally:
            was_cut += 1

    monkeypatch.setattr(world, "embed", slow)
    monkeypatch.setattr("argosy.services.documents.jobs.pipeline.cut", counted)
    for number, text in enumerate(texts):
        desk.blobs.put(text.encode())
        desk.catalog.accept("default", [desk.upload(f"{number}.txt", text.encode())])
    running = [asyncio.create_task(pipeline.run(desk.claim())) for _ in texts]
    async with asyncio.timeout(30):
        while was_cut < len(texts) or inside < 2:
            await asyncio.sleep(0)
        for _ in range(100):  # a document that does not wait for room would enter meanwhile
            await asyncio.sleep(0)
        assert inside == 2
        for _ in texts:
            may_leave.release()
        await asyncio.gather(*running)
    assert peak == 2
    assert len(world.published) == len(texts)


def test_chunk_ids_follow_from_document_version_and_ordinal() -> None:
    ids = {chunk_id(document, version, n) for document in ("a", "b") for version in (1, 2) for n in range(3)}
    assert len(ids) == 12
    assert chunk_id("a", 1, 0) == chunk_id("a", 1, 0)


async def test_doing_the_work_twice_doubles_nothing(desk: Desk, world: World, pipeline: Pipeline) -> None:
    add(desk)
    world.fault["publish"] = Conflict("The store holds fewer chunks.")
    assert (await attempt(desk, pipeline)).status is DocumentStatus.QUEUED
    points = dict(world.points)
    desk.clock.now += 10
    assert (await attempt(desk, pipeline)).status is DocumentStatus.INDEXED
    assert world.points == points
    assert len(world.published) == 1


@pytest.mark.parametrize("step", ["parse", "embed", "upsert", "publish"])
async def test_nothing_is_published_before_all_is_in(desk: Desk, world: World, pipeline: Pipeline, step: str) -> None:
    add(desk)
    world.fault[step] = UpstreamFailed("It broke.")
    view = await attempt(desk, pipeline)
    assert (view.status, view.attempts, world.published) == (DocumentStatus.QUEUED, 1, [])


@pytest.mark.parametrize("error", [Unavailable("down"), Overloaded("full"), ModelMissing("no model")])
async def test_a_service_that_is_away_makes_documents_wait(
    desk: Desk, world: World, pipeline: Pipeline, error: ArgosyError
) -> None:
    add(desk)
    for _ in range(10):
        world.fault["embed"] = error
        view = await attempt(desk, pipeline)
        assert view.error is not None
        assert (view.status, view.error.code) == (DocumentStatus.QUEUED, error.code)
        desk.clock.now += 60
    assert (await attempt(desk, pipeline)).status is DocumentStatus.INDEXED


async def test_a_fault_of_the_document_is_reported_with_its_code(desk: Desk, world: World, pipeline: Pipeline) -> None:
    add(desk)
    world.fault["parse"] = NoTextInDocument("handbook.md holds no text.")
    view = await attempt(desk, pipeline)
    assert view.error is not None
    assert (view.status, view.error.code, view.error.detail) == ("failed", "no_text", "handbook.md holds no text.")


async def test_an_unexpected_error_is_tried_again_and_never_shown(desk: Desk, world: World, pipeline: Pipeline) -> None:
    add(desk)
    for left in (2, 1, 0):
        world.fault["upsert"] = KeyError("/secret/path")
        view = await attempt(desk, pipeline)
        assert view.error is not None
        assert "secret" not in view.error.detail
        assert view.status is (DocumentStatus.QUEUED if left else DocumentStatus.DEAD)
        assert view.error.code == Internal.code
        desk.clock.now += 10


async def test_a_model_that_changes_midway_is_not_mixed(desk: Desk, world: World, pipeline: Pipeline) -> None:
    add(desk)
    embed, seen = world.embed, 0

    async def changing(
        texts: list[str], kind: TextKind, context: RequestContext, *, spans: Sequence[Spans] = ()
    ) -> EmbedResponse:
        nonlocal seen
        seen += 1
        world.embedder.serves = "minilm" if seen == 1 else "other"
        return await embed(texts, kind, context, spans=spans)

    world.embed = changing  # type: ignore[method-assign]
    view = await attempt(desk, pipeline)
    assert view.error is not None
    assert (view.error.code, world.published) == ("upstream_failed", [])


async def test_a_superseded_document_stops_and_is_not_published(desk: Desk, world: World, pipeline: Pipeline) -> None:
    add(desk, b"old words")
    upsert = world.upsert

    async def superseding(request: UpsertRequest, context: RequestContext) -> None:
        await upsert(request, context)
        add(desk, b"new words")

    world.upsert = superseding  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        await attempt(desk, pipeline)
    assert world.published == []
    world.upsert = upsert  # type: ignore[method-assign]
    assert (await attempt(desk, pipeline)).version == 2


async def test_forgetting_reaches_the_store_and_the_disk(desk: Desk, world: World, pipeline: Pipeline) -> None:
    key = add(desk, b"secret")
    await attempt(desk, pipeline)
    text = desk.catalog.text_hash(key)
    desk.clock.now += 1000
    desk.catalog.delete(key)
    world.fault["forget"] = Unavailable("down")
    job = desk.claim()
    with pytest.raises(Unavailable):
        await pipeline.run(job)
    settle(desk.jobs, job, Unavailable("down"))
    desk.clock.now += 60
    await pipeline.run(desk.claim())
    assert world.forgotten == [ForgetRequest("default", key, 1)]
    assert world.points == {}
    while desk.clearing.delete_some():
        pass
    assert list(desk.blobs.keys()) == []
    assert text == content_hash(b"secret")


async def test_a_document_that_failed_before_is_not_tried_together_with_others(desk: Desk, world: World) -> None:
    """Avoid shared calls for it: a document that breaks a service breaks it for all documents that share the call."""
    shared = World()
    shared.fault["embed"] = Unavailable("It broke.")
    pipeline = Pipeline(
        desk.jobs,
        desk.blobs,
        world,
        Pieces(),
        world,
        world,
        PipelineSettings(ChunkLimits(40)),
        shared=Shared(shared, shared),
    )
    add(desk)
    assert (await attempt(desk, pipeline)).status is DocumentStatus.QUEUED
    assert (shared.calls, world.calls) == (["embed"], ["parse"])
    desk.clock.now += 60
    assert (await attempt(desk, pipeline)).status is DocumentStatus.INDEXED
    assert shared.calls == ["embed"]
    assert world.calls[-1] == "publish"


class Texts(MemoryParser):
    """Parses short texts; the first call fails if there is a fault."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.parsed: list[str] = []

    async def parse_texts(self, texts: Sequence[tuple[bytes, str, Format]]) -> list[ParsedDocument | Exception]:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        self.parsed += [name for _, name, _ in texts]
        return [await self.parse(data, name, 1.0, kind) for data, name, kind in texts]


def with_texts(desk: Desk, world: World, texts: Texts) -> Pipeline:
    shared = Shared(world, world, ShortTexts(texts, linger_s=0.0))
    settings = PipelineSettings(ChunkLimits(40), readers=1)
    return Pipeline(desk.jobs, desk.blobs, world, Pieces(), world, world, settings, shared=shared)


async def test_a_short_text_is_indexed_while_another_document_holds_the_only_place(desk: Desk) -> None:
    class Busy(World):
        async def parse(self, *arguments: Any) -> ParsedDocument:
            self.calls.append("parse")
            await asyncio.sleep(3600)
            raise AssertionError

    world, texts = Busy(), Texts()
    pipeline = with_texts(desk, world, texts)
    add(desk, b"Tide. " * (SHORT_BYTES // 5), "long.md")
    held = asyncio.ensure_future(pipeline.run(desk.claim()))
    await until(lambda: "parse" in world.calls)
    add(desk, b"The moon causes the tides.", "short.md")
    async with asyncio.timeout(30):
        await pipeline.run(desk.claim())
    assert texts.parsed == ["short.md"]
    assert desk.catalog.document(document_id("default", "short.md")).status is DocumentStatus.INDEXED
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)


async def test_a_short_text_that_failed_before_is_parsed_alone(desk: Desk, world: World) -> None:
    texts = Texts(Unavailable("It broke."))
    pipeline = with_texts(desk, world, texts)
    add(desk)
    assert (await attempt(desk, pipeline)).status is DocumentStatus.QUEUED
    desk.clock.now += 60
    assert (await attempt(desk, pipeline)).status is DocumentStatus.INDEXED
    assert (texts.parsed, world.calls[0]) == ([], "parse")
