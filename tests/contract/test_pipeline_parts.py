"""Contracts of the parser and the embedding service for the pipeline, tested on the real ones and the fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from argosy.clients.directory import Directory
from argosy.clients.embedding import EmbeddingClient
from argosy.clients.transport import Transport
from argosy.config.models import Fleet, Services
from argosy.contracts.embedding import MAX_TEXT_CHARS, MAX_TEXTS, TextKind
from argosy.contracts.errors import (
    ArgosyError,
    EmptyDocument,
    InvalidRequest,
    ParserTimedOut,
    TooLarge,
    UnsupportedType,
)
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.contracts.request import RequestContext
from argosy.services.documents.jobs.collaborators import Parser
from argosy.services.documents.jobs.shared_calls import ChunkEmbedder
from argosy.services.documents.parsing.pool import ParserPool
from argosy.services.embedding.app import EmbeddingService
from argosy.serving.server import Service
from tests.kits import TOKEN, context, make_kit, served
from tests.pipeline_parts import MemoryEmbedder, MemoryParser

pytestmark = pytest.mark.contract

MAX_QUEUED = 64


@pytest.fixture(params=["memory", "real"])
async def parser(request: pytest.FixtureRequest) -> AsyncIterator[Parser]:
    if request.param == "memory":
        yield MemoryParser()
        return
    pool = ParserPool(1)
    yield pool
    await pool.close()


@pytest.mark.parametrize(
    ("data", "name", "text", "kind", "title"),
    [
        (b"The quay.\r\nIt is long.", "a.txt", "The quay.\nIt is long.", "text/plain", None),
        (b"# Quays\n\nThey are long.", "a.md", "# Quays\n\nThey are long.", "text/markdown", "Quays"),
        (b"caf\xe9", "a.txt", "café", "text/plain", None),
    ],
)
async def test_text_is_read_as_it_is(
    parser: Parser, data: bytes, name: str, text: str, kind: str, title: str | None
) -> None:
    parsed = await parser.parse(data, name, 60.0)
    assert (parsed.text, parsed.content_type, parsed.title) == (text, kind, title)
    assert parsed.markdown == (kind == "text/markdown")


@pytest.mark.parametrize(
    ("data", "name", "timeout_s", "error"),
    [
        (b"", "a.txt", 60.0, EmptyDocument),
        (b" \n ", "a.txt", 60.0, EmptyDocument),
        (bytes(range(256)) * 40, "a.bin", 60.0, UnsupportedType),
        (b"The quay.", "a.txt", 0.0, ParserTimedOut),
    ],
    ids=["empty", "blank", "unknown", "late"],
)
async def test_what_cannot_be_read_is_refused(
    parser: Parser, data: bytes, name: str, timeout_s: float, error: type[ArgosyError]
) -> None:
    with pytest.raises(error, match=name):
        await parser.parse(data, name, timeout_s)


@pytest.fixture(params=["memory", "real"])
async def embedding(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ChunkEmbedder]:
    if request.param == "memory":
        yield MemoryEmbedder(MAX_QUEUED)
        return
    fleet = Fleet.model_validate({"services": {"embedding": {"backend": "fake", "max_queued_texts": MAX_QUEUED}}})
    kit = make_kit("embedding", fleet, data_dir=str(tmp_path))
    service: Service = EmbeddingService(kit)
    service._upstreams = _Unconnected()  # type: ignore[attr-defined]
    await service.start()
    async with served(service.app) as url, aiohttp.ClientSession() as session:
        directory = Directory(Services())
        directory.apply(EndpointSet("1.0", {"embedding": [Endpoint("embedding-1", url)]}))
        yield EmbeddingClient(Transport(directory, session, TOKEN))
    await service.stop()


class _Unconnected:
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@pytest.fixture
def ctx() -> RequestContext:
    return context(10.0)


async def test_each_text_has_one_vector_in_the_order_given(embedding: ChunkEmbedder, ctx: RequestContext) -> None:
    model = await embedding.model(ctx)
    both = await embedding.embed(["low tide", "high tide"], TextKind.PASSAGE, ctx)
    turned = await embedding.embed(["high tide", "low tide"], TextKind.PASSAGE, ctx)
    assert (both.model, both.dimensions) == (model.model, model.dimensions)
    rows = np.frombuffer(both.vectors, "<f4").reshape(2, model.dimensions)
    assert np.allclose(rows, np.frombuffer(turned.vectors, "<f4").reshape(2, model.dimensions)[::-1])
    assert not np.allclose(rows[0], rows[1])
    assert len(both.tokens) == len(both.truncated) == 2


@pytest.mark.parametrize(
    "texts",
    [[], ["fine", ""], ["fine", " \n"], ["x" * (MAX_TEXT_CHARS + 1)], ["x"] * (MAX_TEXTS + 1)],
    ids=["none", "empty", "blank", "long", "many"],
)
async def test_texts_that_cannot_be_embedded_are_refused(
    embedding: ChunkEmbedder, ctx: RequestContext, texts: list[str]
) -> None:
    with pytest.raises(InvalidRequest, match="texts"):
        await embedding.embed(texts, TextKind.PASSAGE, ctx)


async def test_more_texts_than_the_queue_can_ever_hold_are_refused(
    embedding: ChunkEmbedder, ctx: RequestContext
) -> None:
    with pytest.raises(TooLarge):
        await embedding.embed([f"text {n}" for n in range(MAX_QUEUED + 1)], TextKind.PASSAGE, ctx)
