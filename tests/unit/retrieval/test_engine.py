from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from argosy.config.rerank import RerankSettings
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
from argosy.services.retrieval.reranking.reranker import Relevance
from argosy.services.retrieval.reranking.stage import RerankStage

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


class Reranker:
    name = "fake"
    trouble = ""

    def __init__(self, error: ArgosyError | None = None) -> None:
        self.error = error
        self.asked: list[list[str]] = []

    async def scores(self, query: str, texts: Sequence[str], context: RequestContext) -> Relevance:
        """Return higher scores for later texts."""
        self.asked.append([*texts])
        if self.error is not None:
            raise self.error
        return Relevance([(n + 1) / 10 for n in range(len(texts))])

    async def close(self) -> None:
        return None


def reranked_by(reranker: Reranker) -> RetrievalEngine:
    stage = RerankStage(RerankSettings(backend="onnx", model="m"), lambda: reranker)
    return RetrievalEngine(Embedding(), Store(), 100, rerank=stage)


@pytest.mark.parametrize("asked", [None, True])
async def test_a_reranker_orders_the_fused_passages_and_its_time_is_told(
    asked: bool | None, context: RequestContext
) -> None:
    reranker = Reranker()

    answer = await reranked_by(reranker).search(RetrievalRequest("q", top_k=2, rerank=asked), context)

    assert [p.chunk.chunk_id for p in answer.passages] == ["y", "z"]
    assert reranker.asked == [["text of x", "text of z", "text of y"]]
    assert [p.score for p in answer.passages] == [0.3, 0.2]
    assert answer.degraded == []
    assert set(answer.timings_ms) == {"embed", "store", "fuse", "rerank"}


async def test_a_request_may_do_without_the_reranker(context: RequestContext) -> None:
    reranker = Reranker()

    answer = await reranked_by(reranker).search(RetrievalRequest("q", rerank=False), context)

    assert [p.chunk.chunk_id for p in answer.passages] == ["x", "z", "y"]
    assert reranker.asked == []
    assert "rerank" not in answer.timings_ms


async def test_when_the_reranker_fails_the_fused_order_stays_and_the_answer_says_so(context: RequestContext) -> None:
    answer = await reranked_by(Reranker(Unavailable("gone"))).search(RetrievalRequest("q"), context)
    plain = await RetrievalEngine(Embedding(), Store(), 100).search(RetrievalRequest("q"), context)

    assert answer.passages == plain.passages
    assert answer.degraded == ["rerank"]
    assert "rerank" in answer.timings_ms


async def test_asking_for_a_reranker_that_the_fleet_lacks_is_refused_with_the_setting(context: RequestContext) -> None:
    with pytest.raises(InvalidRequest, match=r"services\.retrieval\.rerank\.backend") as refused:
        await RetrievalEngine(Embedding(), Store(), 100).search(RetrievalRequest("q", rerank=True), context)
    assert refused.value.param == "rerank"
