"""Contract of the chunk store for the documents service, tested on the real store over HTTP and on the tests' fake.

Refusals are part of the contract: a fake that never refuses would hide a job that is refused for ever.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import aiohttp
import numpy as np
import pytest

from argosy.clients.directory import Directory
from argosy.clients.store import StoreClient
from argosy.clients.transport import Transport
from argosy.config.models import Services
from argosy.contracts.errors import CollectionNotFound, Conflict, InvalidRequest, Overloaded
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.contracts.request import RequestContext
from argosy.contracts.store import (
    Chunk,
    DocumentFields,
    EnsureCollection,
    ForgetRequest,
    PublishRequest,
    StoreSearchRequest,
    UpsertRequest,
)
from argosy.services.documents.catalog.clearing import CollectionStore
from argosy.services.documents.jobs.collaborators import ChunkStore
from argosy.services.store.app import StoreService
from argosy.services.store.engine import StoreEngine
from tests.chunk_store import MemoryChunkStore
from tests.kits import TOKEN, context, make_kit, served

pytestmark = pytest.mark.contract

DIMENSIONS = 4
FIELDS = DocumentFields("d.md", "file:///d.md", "About d", {"port": "Kestrel"})


class Store(ChunkStore, CollectionStore, Protocol):
    pass


class Harness(Protocol):
    """Store under test, with observations and actions that its calls do not offer."""

    store: Store

    async def visible(self, collection: str) -> list[Chunk]: ...

    def fill_queue(self) -> None: ...


class Memory:
    def __init__(self) -> None:
        self._memory = MemoryChunkStore()
        self.store: Store = self._memory

    async def visible(self, collection: str) -> list[Chunk]:
        return self._memory.visible(collection)

    def fill_queue(self) -> None:
        self._memory.full = True


class Real:
    def __init__(self, client: StoreClient, service: StoreService) -> None:
        self.store: Store = client
        self._client = client
        self._service = service

    async def visible(self, collection: str) -> list[Chunk]:
        wanted = StoreSearchRequest(collection, 200, np.ones(DIMENSIONS, "<f4").tobytes(), unit_vectors=True)
        answer = await self._client.search(wanted, context())
        return [answer.chunk(ranked.chunk_id) for ranked in answer.dense]

    def fill_queue(self) -> None:
        self._service._waiting = self._service._settings.max_queued


@pytest.fixture(params=["memory", "real"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    if request.param == "memory":
        yield Memory()
        return
    kit = make_kit("store", data_dir=str(tmp_path))
    service = StoreService(kit)
    kit.readiness.endpoints_version = "1.0"
    service._engine = StoreEngine(tmp_path)
    service._engine.ensure(EnsureCollection("default"))
    kit.readiness.engine_loaded = True
    async with served(service.app) as url, aiohttp.ClientSession() as session:
        directory = Directory(Services())
        directory.apply(EndpointSet("1.0", {"store": [Endpoint("store-1", url)]}))
        yield Real(StoreClient(Transport(directory, session, TOKEN)), service)
    service._engine.close()


@pytest.fixture
def store(harness: Harness) -> Store:
    return harness.store


@pytest.fixture
def ctx() -> RequestContext:
    return context(5.0)


def chunk(document: str, version: int, ordinal: int) -> Chunk:
    key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{document}/{version}/{ordinal}"))
    return Chunk(key, document, version, ordinal, "", "", f"ships {ordinal}", 0, 7)


def upsert(
    document: str = "d",
    version: int = 1,
    ordinals: range = range(2),
    *,
    collection: str = "default",
    model: str = "m",
    dimensions: int = DIMENSIONS,
    generation: int = 0,
) -> UpsertRequest:
    chunks = [chunk(document, version, ordinal) for ordinal in ordinals]
    vectors = np.ones((len(chunks), dimensions), "<f4").tobytes()
    return UpsertRequest(collection, model, dimensions, chunks, vectors, generation, FIELDS)


def publish(document: str = "d", version: int = 1, chunks: int = 2, collection: str = "default") -> PublishRequest:
    return PublishRequest(collection, document, version, chunks, FIELDS)


async def seen(harness: Harness, collection: str = "default") -> set[tuple[str, int, int]]:
    return {(c.document_id, c.version, c.ordinal) for c in await harness.visible(collection)}


async def test_a_version_is_seen_whole_once_it_is_published_and_replaces_the_one_before(
    harness: Harness, store: Store, ctx: RequestContext
) -> None:
    await store.upsert(upsert(), ctx)
    assert await seen(harness) == set()
    await store.publish(publish(), ctx)
    await store.upsert(upsert(version=2, ordinals=range(3)), ctx)
    assert await seen(harness) == {("d", 1, 0), ("d", 1, 1)}
    await store.publish(publish(version=2, chunks=3), ctx)
    assert await seen(harness) == {("d", 2, n) for n in range(3)}


async def test_a_chunk_comes_back_with_its_units_and_their_vectors(
    harness: Harness, store: Store, ctx: RequestContext
) -> None:
    request = upsert(ordinals=range(1))
    request.chunks[0].units, request.chunks[0].unit_vectors = "1:abc=", "1:0a1b:AAEC/+=="
    await store.upsert(request, ctx)
    await store.publish(publish(chunks=1), ctx)
    [found] = await harness.visible("default")
    assert (found.units, found.unit_vectors) == ("1:abc=", "1:0a1b:AAEC/+==")
    assert found.text == "ships 0"


async def test_a_chunk_comes_back_with_the_fields_of_its_document(
    harness: Harness, store: Store, ctx: RequestContext
) -> None:
    await store.upsert(upsert(ordinals=range(1)), ctx)
    await store.publish(publish(chunks=1), ctx)
    [found] = await harness.visible("default")
    assert (found.name, found.source, found.title, found.metadata) == (
        FIELDS.name,
        FIELDS.source,
        FIELDS.title,
        FIELDS.metadata,
    )


@pytest.mark.parametrize("call", ["upsert", "publish", "forget", "drop"])
async def test_an_unknown_collection_is_refused(store: Store, ctx: RequestContext, call: str) -> None:
    calls: dict[str, Callable[[], Awaitable[None]]] = {
        "upsert": lambda: store.upsert(upsert(collection="nope"), ctx),
        "publish": lambda: store.publish(publish(collection="nope"), ctx),
        "forget": lambda: store.forget(ForgetRequest("nope", "d", 1), ctx),
        "drop": lambda: store.drop(EnsureCollection("nope"), ctx),
    }
    with pytest.raises(CollectionNotFound):
        await calls[call]()


@pytest.mark.parametrize(("dimensions", "model"), [(DIMENSIONS + 1, "m"), (DIMENSIONS, "other")])
async def test_vectors_of_another_model_or_dimension_are_refused(
    harness: Harness, store: Store, ctx: RequestContext, dimensions: int, model: str
) -> None:
    await store.upsert(upsert(), ctx)
    with pytest.raises(Conflict):
        await store.upsert(upsert("e", dimensions=dimensions, model=model), ctx)
    with pytest.raises(Conflict):
        await store.publish(publish("e"), ctx)


async def test_vectors_of_the_wrong_size_or_without_direction_are_refused(store: Store, ctx: RequestContext) -> None:
    for spoilt in (b"", b"\0" * 4 * DIMENSIONS * 2, np.full((2, DIMENSIONS), np.nan, "<f4").tobytes()):
        request = upsert()
        request.vectors = spoilt
        with pytest.raises(InvalidRequest):
            await store.upsert(request, ctx)


async def test_chunk_ids_are_uuids_and_belong_to_one_version(store: Store, ctx: RequestContext) -> None:
    await store.upsert(upsert(), ctx)
    for spoilt in ("no-uuid", chunk("d", 2, 1).chunk_id):
        request = upsert(version=2)
        request.chunks[0].chunk_id = spoilt
        with pytest.raises(InvalidRequest):
            await store.upsert(request, ctx)
    thief = upsert(version=2, ordinals=range(1))
    thief.chunks[0].chunk_id = chunk("d", 1, 0).chunk_id
    with pytest.raises(Conflict):
        await store.upsert(thief, ctx)


async def test_publishing_with_chunks_missing_is_refused(harness: Harness, store: Store, ctx: RequestContext) -> None:
    await store.upsert(upsert(ordinals=range(2)), ctx)
    with pytest.raises(Conflict):
        await store.publish(publish(chunks=3), ctx)
    assert await seen(harness) == set()


async def test_chunks_beyond_the_count_cannot_stand_in_for_missing_ones(
    harness: Harness, store: Store, ctx: RequestContext
) -> None:
    await store.upsert(upsert(ordinals=range(2, 5)), ctx)
    with pytest.raises(Conflict):
        await store.publish(publish(chunks=3), ctx)
    assert await seen(harness) == set()


async def test_a_version_that_is_cut_into_fewer_chunks_the_second_time_keeps_none_of_the_first(
    harness: Harness, store: Store, ctx: RequestContext
) -> None:
    await store.upsert(upsert(ordinals=range(5)), ctx)
    await store.publish(publish(chunks=5), ctx)
    await store.upsert(upsert(ordinals=range(3)), ctx)
    await store.publish(publish(chunks=3), ctx)
    assert await seen(harness) == {("d", 1, n) for n in range(3)}


async def test_an_older_version_can_be_neither_sent_nor_published(
    harness: Harness, store: Store, ctx: RequestContext
) -> None:
    await store.upsert(upsert(version=2), ctx)
    await store.publish(publish(version=2), ctx)
    with pytest.raises(Conflict):
        await store.upsert(upsert(version=1), ctx)
    with pytest.raises(Conflict):
        await store.publish(publish(version=1), ctx)
    assert await seen(harness) == {("d", 2, 0), ("d", 2, 1)}


async def test_everything_may_be_said_twice(harness: Harness, store: Store, ctx: RequestContext) -> None:
    await store.ensure(EnsureCollection("default"), ctx)
    for _ in range(2):
        await store.upsert(upsert(), ctx)
        await store.publish(publish(), ctx)
    assert await seen(harness) == {("d", 1, 0), ("d", 1, 1)}
    for _ in range(2):
        await store.forget(ForgetRequest("default", "d", 1), ctx)
    assert await seen(harness) == set()


async def test_what_was_forgotten_can_be_neither_sent_nor_published_again(
    harness: Harness, store: Store, ctx: RequestContext
) -> None:
    await store.upsert(upsert(), ctx)
    await store.publish(publish(), ctx)
    await store.forget(ForgetRequest("default", "d", 1), ctx)
    with pytest.raises(Conflict):
        await store.upsert(upsert(), ctx)
    with pytest.raises(Conflict):
        await store.publish(publish(), ctx)
    await store.upsert(upsert(version=2), ctx)
    await store.publish(publish(version=2), ctx)
    assert await seen(harness) == {("d", 2, 0), ("d", 2, 1)}


async def test_forgetting_a_document_that_is_not_there_is_done_and_binds(store: Store, ctx: RequestContext) -> None:
    await store.forget(ForgetRequest("default", "d", 1), ctx)
    with pytest.raises(Conflict):
        await store.upsert(upsert(), ctx)


async def test_a_late_forget_spares_a_newer_version(harness: Harness, store: Store, ctx: RequestContext) -> None:
    await store.upsert(upsert(version=2), ctx)
    await store.publish(publish(version=2), ctx)
    await store.forget(ForgetRequest("default", "d", 1), ctx)
    assert await seen(harness) == {("d", 2, 0), ("d", 2, 1)}


async def test_a_dropped_collection_is_gone_and_its_generation_never_comes_back(
    harness: Harness, store: Store, ctx: RequestContext
) -> None:
    await store.ensure(EnsureCollection("maps", 7), ctx)
    await store.upsert(upsert(collection="maps", generation=7), ctx)
    await store.publish(publish(collection="maps"), ctx)
    await store.drop(EnsureCollection("maps", 7), ctx)
    with pytest.raises(CollectionNotFound):
        await store.ensure(EnsureCollection("maps", 7), ctx)
    with pytest.raises(CollectionNotFound):
        await store.upsert(upsert(collection="maps", generation=7), ctx)
    await store.ensure(EnsureCollection("maps", 8), ctx)
    assert await seen(harness, "maps") == set()


async def test_dropping_before_it_was_made_forbids_making_it(store: Store, ctx: RequestContext) -> None:
    with pytest.raises(CollectionNotFound):
        await store.drop(EnsureCollection("maps", 7), ctx)
    with pytest.raises(CollectionNotFound):
        await store.ensure(EnsureCollection("maps", 7), ctx)


async def test_late_calls_of_an_old_generation_neither_show_nor_take_anything_of_the_new_one(
    harness: Harness, store: Store, ctx: RequestContext
) -> None:
    await store.ensure(EnsureCollection("maps", 7), ctx)
    await store.upsert(upsert(collection="maps", generation=7), ctx)
    await store.publish(publish(collection="maps"), ctx)
    await store.ensure(EnsureCollection("maps", 8), ctx)
    assert await seen(harness, "maps") == set()
    await store.upsert(upsert(version=2, collection="maps", generation=8), ctx)
    await store.publish(publish(version=2, collection="maps"), ctx)
    with pytest.raises(CollectionNotFound):
        await store.drop(EnsureCollection("maps", 7), ctx)
    with pytest.raises(CollectionNotFound):
        await store.ensure(EnsureCollection("maps", 7), ctx)
    with pytest.raises(CollectionNotFound):
        await store.upsert(upsert("e", collection="maps", generation=7), ctx)
    await store.forget(ForgetRequest("maps", "d", 1), ctx)
    assert await seen(harness, "maps") == {("d", 2, 0), ("d", 2, 1)}


async def test_a_store_whose_queue_is_full_says_so(harness: Harness, store: Store) -> None:
    harness.fill_queue()
    with pytest.raises(Overloaded):
        await store.upsert(upsert(), context(0.3))
