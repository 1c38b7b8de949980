from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from argosy.contracts.codec import decode, encode
from argosy.contracts.embedding import EmbedResponse, QueryVector, TextKind
from argosy.contracts.errors import (
    ArgosyError,
    CollectionNotFound,
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    Unavailable,
)
from argosy.contracts.request import Deadline, RequestContext
from argosy.contracts.retrieval import RetrievalRequest, RetrievalResponse, SearchMode
from argosy.contracts.store import Candidate, Chunk, QueryAnalysis, QueryTerm, StoreSearchRequest, StoreSearchResponse
from argosy.services.retrieval.engine import RetrievalEngine
from argosy.services.retrieval.fusion import RERANKED

pytestmark = pytest.mark.unit

VECTOR = np.ones(4, dtype="<f4").tobytes()


def chunk(chunk_id: str) -> Chunk:
    return Chunk(chunk_id, "d", 1, 0, "a.txt", "file:a.txt", f"text of {chunk_id}", 0, 10)


class Embedding:
    def __init__(self, error: ArgosyError | None = None) -> None:
        self.error = error
        self.asked: list[tuple[list[str], TextKind, RequestContext]] = []

    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        self.asked.append((list(texts), kind, context))
        if self.error is not None:
            raise self.error
        return EmbedResponse("m", 4, VECTOR, [3], [False])


class Store:
    def __init__(self, error: ArgosyError | None = None) -> None:
        self.error = error
        self.asked: list[StoreSearchRequest] = []

    async def search(self, request: StoreSearchRequest, context: RequestContext) -> StoreSearchResponse:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        near = {"x": 0.9, "y": 0.3} if request.vector else {}
        said = {"z": 7.0, "y": 3.0} if request.text else {}
        scored = [Candidate(key, near.get(key, 0.0), said.get(key, 0.0)) for key in "xyz"]
        return StoreSearchResponse(
            chunks={c: msgspec.json.encode(chunk(c)).decode() for c in "xyz"},
            candidates=[one for one in scored if one.cosine or one.words],
            analysis=QueryAnalysis("en", [QueryTerm("x", 2)], [], 3) if request.text else None,
        )


@pytest.fixture
def context() -> RequestContext:
    return RequestContext("r1", Deadline(10.0, lambda: 0.0))


async def test_hybrid_asks_the_store_once_for_both_lists_and_fuses_them(context: RequestContext) -> None:
    embedding, store = Embedding(), Store()

    engine = RetrievalEngine(embedding, store, 100, languages=["en"])
    answer = await engine.search(RetrievalRequest("what is x"), context)

    assert [p.chunk.chunk_id for p in answer.passages] == ["x", "z", "y"]
    assert store.asked == [StoreSearchRequest("default", RERANKED, VECTOR, "what is x", {}, 100, ["en"])]
    assert answer.analysis == QueryAnalysis("en", [QueryTerm("x", 2)], [], 3)
    assert answer.degraded == []
    assert answer.query_vector == QueryVector("m", "", 4, VECTOR)
    assert set(answer.timings_ms) == {"embed", "store", "fuse"}
    assert embedding.asked[0][:2] == (["what is x"], TextKind.QUERY)


async def test_the_embedding_hop_leaves_time_for_its_fallback(context: RequestContext) -> None:
    embedding = Embedding()

    await RetrievalEngine(embedding, Store(), 100).search(RetrievalRequest("q"), context)

    assert embedding.asked[0][2].deadline.remaining_s() == pytest.approx(4.0)


@pytest.mark.parametrize("mode", [SearchMode.HYBRID, SearchMode.DENSE])
@pytest.mark.parametrize("error", [Unavailable("gone"), Overloaded("full"), DeadlineExceeded("late")])
async def test_without_an_embedding_the_words_decide_and_the_answer_says_so(
    mode: SearchMode, error: ArgosyError, context: RequestContext
) -> None:
    store = Store()

    answer = await RetrievalEngine(Embedding(error), store, 100).search(RetrievalRequest("q", mode=mode), context)

    assert answer.degraded == ["embedding"]
    assert [p.chunk.chunk_id for p in answer.passages] == ["z", "y"]
    assert (store.asked[0].vector, store.asked[0].text) == (None, "q")
    assert answer.query_vector is None


async def test_dense_asks_for_the_dense_list_only(context: RequestContext) -> None:
    store = Store()

    answer = await RetrievalEngine(Embedding(), store, 100).search(
        RetrievalRequest("q", mode=SearchMode.DENSE), context
    )

    assert store.asked[0].text is None
    assert [p.chunk.chunk_id for p in answer.passages] == ["x", "y"]


async def test_lexical_does_not_ask_for_an_embedding(context: RequestContext) -> None:
    embedding = Embedding()

    answer = await RetrievalEngine(embedding, Store(), 100).search(
        RetrievalRequest("q", mode=SearchMode.LEXICAL, top_k=1), context
    )

    assert embedding.asked == []
    assert answer.query_vector is None
    assert answer.degraded == []
    assert len(answer.passages) == 1


@pytest.mark.parametrize("request_", [RetrievalRequest(""), RetrievalRequest(" \n\t"), RetrievalRequest("q", top_k=0)])
async def test_an_empty_query_or_a_wrong_top_k_is_refused(request_: RetrievalRequest, context: RequestContext) -> None:
    with pytest.raises(InvalidRequest):
        await RetrievalEngine(Embedding(), Store(), 100).search(request_, context)


async def test_an_unknown_collection_stays_one(context: RequestContext) -> None:
    engine = RetrievalEngine(Embedding(), Store(CollectionNotFound("no nope")), 100)

    with pytest.raises(CollectionNotFound):
        await engine.search(RetrievalRequest("q", collection="nope"), context)


async def test_a_request_the_embedding_finds_wrong_is_no_reason_to_fall_back(context: RequestContext) -> None:
    engine = RetrievalEngine(Embedding(InvalidRequest("bad")), Store(), 100)

    with pytest.raises(InvalidRequest):
        await engine.search(RetrievalRequest("q"), context)


async def test_versions_with_and_without_the_querys_vector_understand_each_other(context: RequestContext) -> None:
    class Earlier(msgspec.Struct):
        passages: list[object]
        degraded: list[str] = []
        timings_ms: dict[str, float] = {}

    now = await RetrievalEngine(Embedding(), Store(), 100).search(RetrievalRequest("q"), context)

    assert len(decode(encode(now), Earlier).passages) == len(now.passages)
    assert decode(encode(Earlier([])), RetrievalResponse).query_vector is None
    assert decode(encode(now), RetrievalResponse) == now
