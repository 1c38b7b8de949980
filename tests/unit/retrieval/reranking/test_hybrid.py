from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.errors import ArgosyError, InvalidRequest, Unavailable
from argosy.contracts.request import Deadline, RequestContext
from argosy.contracts.rerank import RerankRequest
from argosy.services.retrieval.reranking.hybrid import HybridScorer, shared_words
from argosy.services.retrieval.reranking.reranker import Relevance
from argosy.services.retrieval.reranking.texts import rerank_texts

pytestmark = pytest.mark.unit

TEXTS = ["The harbour opens at six.", "Cats sleep all day.", "The tide rises at noon."]


class Embedding:
    """Fake whose query vector is (1, 0); a text has the vector of its place, and the second one lies opposite."""

    ROWS = np.array([[0.6, 0.8], [-1.0, 0.0], [0.0, 1.0]], "<f4")

    def __init__(self, error: ArgosyError | None = None) -> None:
        self.error = error

    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        if self.error is not None:
            raise self.error
        rows = np.array([[1.0, 0.0]], "<f4") if kind is TextKind.QUERY else self.ROWS[: len(texts)]
        return EmbedResponse("m", 2, rows.tobytes(), [3] * len(texts), [False] * len(texts))


class Reranker:
    name = "a-reranker"
    trouble = ""

    def __init__(self, error: ArgosyError | None = None) -> None:
        self.error = error

    async def scores(self, query: str, texts: Sequence[str], context: RequestContext) -> Relevance:
        if self.error is not None:
            raise self.error
        return Relevance([0.5] * len(texts), 7)

    async def close(self) -> None:
        return None


@pytest.fixture
def context() -> RequestContext:
    return RequestContext("r1", Deadline.after(30))


async def test_vectors_and_words_count_by_halves(context: RequestContext) -> None:
    answer = await HybridScorer(Embedding()).scores("When does the harbour open?", TEXTS, context)

    assert (answer.model, answer.degraded, answer.tokens) == ("argosy-hybrid", [], 12)
    assert answer.scores == pytest.approx([0.5 * 0.6 + 0.5, 0.0, 0.0], abs=1e-6)


async def test_without_vectors_words_decide_and_the_answer_says_so(context: RequestContext) -> None:
    answer = await HybridScorer(Embedding(Unavailable("gone"))).scores("harbour tide noon", TEXTS, context)

    assert (answer.model, answer.degraded) == ("argosy-hybrid", ["embedding"])
    assert answer.scores[2] > answer.scores[0] > answer.scores[1] == 0.0


async def test_a_text_that_cannot_be_embedded_is_an_error_of_the_request(context: RequestContext) -> None:
    with pytest.raises(InvalidRequest):
        await HybridScorer(Embedding(InvalidRequest("no"))).scores("harbour", TEXTS, context)


def test_a_rare_word_counts_more_than_one_that_all_texts_have() -> None:
    rare, common, none = shared_words("blue harbour", ["blue boat", "harbour boat", "boat"] + ["harbour"] * 5)[:3]

    assert rare > common > none == 0.0
    assert shared_words("the of", ["x"]) == [0.0]
    assert shared_words("harbours", ["This is the harbour of the town."]) == [1.0]


async def test_the_reranker_answers_where_there_is_one(context: RequestContext) -> None:
    answer = await rerank_texts(
        RerankRequest("q", TEXTS), Reranker(), HybridScorer(Embedding()), context, configured=True
    )

    assert (answer.model, answer.scores, answer.tokens, answer.degraded) == ("a-reranker", [0.5] * 3, 7, [])


@pytest.mark.parametrize("reranker", [None, Reranker(Unavailable("gone"))])
async def test_a_reranker_that_fails_is_replaced_by_name(reranker: Reranker | None, context: RequestContext) -> None:
    hybrid = HybridScorer(Embedding())

    answer = await rerank_texts(RerankRequest("harbour", TEXTS), reranker, hybrid, context, configured=True)

    assert (answer.model, answer.degraded) == ("argosy-hybrid", ["rerank"])


async def test_a_fleet_without_a_reranker_is_not_degraded(context: RequestContext) -> None:
    hybrid = HybridScorer(Embedding())

    answer = await rerank_texts(RerankRequest("harbour", TEXTS), None, hybrid, context, configured=False)

    assert (answer.model, answer.degraded) == ("argosy-hybrid", [])


@pytest.mark.parametrize("request_", [RerankRequest(" ", TEXTS), RerankRequest("q", [])])
async def test_a_request_without_query_or_texts_is_refused(request_: RerankRequest, context: RequestContext) -> None:
    with pytest.raises(InvalidRequest):
        await rerank_texts(request_, None, HybridScorer(Embedding()), context, configured=False)
