from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np
import pytest

from argosy.contracts.embedding import EmbedResponse, ModelInfo, Spans, TextKind
from argosy.contracts.errors import ArgosyError, Conflict, InvalidRequest, Unavailable
from argosy.contracts.request import Deadline, Priority, RequestContext
from argosy.contracts.store import (
    EnsureCollection,
    ForgetRequest,
    PublishRequest,
    StoreOutcome,
    UpsertRequest,
)
from argosy.services.documents.jobs.shared_calls import SharedEmbedder, SharedStore

pytestmark = pytest.mark.unit


def shared_context() -> RequestContext:
    return RequestContext("shared", Deadline.after(30), Priority.BULK)


ALONE = RequestContext("alone", Deadline.after(30), Priority.BULK)


def vector_of(text: str) -> bytes:
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=4).digest(), "u1").astype("<f4").tobytes()


class World:
    """Fake embedding service and store that record their calls."""

    def __init__(self) -> None:
        self.embedded: list[list[str]] = []
        self.upserted: list[list[str]] = []
        self.published: list[list[str]] = []
        self.away = False

    async def embed(
        self, texts: list[str], kind: TextKind, context: RequestContext, *, spans: Sequence[Spans] = ()
    ) -> EmbedResponse:
        self.embedded.append(texts)
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("away")
        if "bad" in texts:
            raise InvalidRequest("That text is bad.", param=f"texts[{texts.index('bad')}]")
        vectors = b"".join(map(vector_of, texts))
        return EmbedResponse("m", 4, vectors, [len(text) for text in texts], [text == "long" for text in texts])

    async def model(self, context: RequestContext) -> ModelInfo:
        return ModelInfo("m", "1", 4, 256)

    async def ensure(self, request: EnsureCollection, context: RequestContext) -> None: ...

    async def upsert_many(self, requests: Sequence[UpsertRequest], context: RequestContext) -> list[StoreOutcome]:
        self.upserted.append([request.collection for request in requests])
        return [self._outcome(request.collection) for request in requests]

    async def publish_many(self, requests: Sequence[PublishRequest], context: RequestContext) -> list[StoreOutcome]:
        self.published.append([request.document_id for request in requests])
        return [self._outcome(request.document_id) for request in requests]

    async def forget(self, request: ForgetRequest, context: RequestContext) -> None: ...

    @staticmethod
    def _outcome(name: str) -> StoreOutcome:
        error: ArgosyError | None = Conflict("It is outdated.", param="version") if name == "bad" else None
        return StoreOutcome.of(error)


async def test_documents_that_wait_for_vectors_share_a_request_and_each_gets_its_own() -> None:
    world = World()
    shared = SharedEmbedder(world, 64, shared_context)
    asked = [["one", "two"], ["long"], ["three"]]
    answers = await asyncio.gather(*(shared.embed(texts, TextKind.PASSAGE, ALONE) for texts in asked))
    assert world.embedded == [["one", "two", "long", "three"]]
    for texts, answer in zip(asked, answers, strict=True):
        assert answer.vectors == b"".join(map(vector_of, texts))
        assert answer.tokens == [len(text) for text in texts]
        assert answer.truncated == [text == "long" for text in texts]


async def test_a_text_that_cannot_be_embedded_fails_its_own_document_and_no_other() -> None:
    world = World()
    shared = SharedEmbedder(world, 64, shared_context)
    calls = (shared.embed([text], TextKind.PASSAGE, ALONE) for text in ("one", "bad", "two"))
    good, bad, other = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(good, EmbedResponse)
    assert good.vectors == vector_of("one")
    assert isinstance(bad, InvalidRequest)
    assert bad.param == "texts[0]", "of its own request, not of the shared one"
    assert isinstance(other, EmbedResponse)


async def test_a_service_that_is_away_is_told_to_all_and_asked_once() -> None:
    world = World()
    world.away = True
    shared = SharedEmbedder(world, 64, shared_context)
    calls = (shared.embed([text], TextKind.PASSAGE, ALONE) for text in "abc")
    assert {type(end) for end in await asyncio.gather(*calls, return_exceptions=True)} == {Unavailable}
    assert len(world.embedded) == 1


async def test_no_request_holds_more_texts_than_allowed() -> None:
    world = World()
    shared = SharedEmbedder(world, 4, shared_context)
    await asyncio.gather(*(shared.embed([f"{n}a", f"{n}b", f"{n}c"], TextKind.PASSAGE, ALONE) for n in range(5)))
    assert [len(texts) for texts in world.embedded] == [3] * 5


async def test_upserts_and_publications_are_sent_together_and_refused_one_by_one() -> None:
    world = World()
    shared = SharedStore(world, 200, shared_context)
    names = ["a", "bad", "b"]
    upserts = (shared.upsert(UpsertRequest(name, "m", 4, [], b""), ALONE) for name in names)
    publications = (shared.publish(PublishRequest("c", name, 1, 1), ALONE) for name in names)
    for calls, sent in ((upserts, world.upserted), (publications, world.published)):
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert sent == [names]
        assert [type(end) for end in ends] == [type(None), Conflict, type(None)]
