from __future__ import annotations

from collections.abc import Sequence

import pytest

from argosy.config.rerank import RerankSettings
from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Internal, Overloaded, Unavailable, UpstreamFailed
from argosy.contracts.request import Deadline, RequestContext
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.services.retrieval.reranking.reranker import Relevance
from argosy.services.retrieval.reranking.stage import RerankStage, told

pytestmark = pytest.mark.unit


class Reranker:
    name = "fake"
    trouble = ""

    def __init__(self, scores: list[float] | ArgosyError) -> None:
        self.given = scores
        self.asked: list[tuple[str, list[str], float]] = []

    async def scores(self, query: str, texts: Sequence[str], context: RequestContext) -> Relevance:
        self.asked.append((query, [*texts], context.deadline.remaining_s()))
        if isinstance(self.given, ArgosyError):
            raise self.given
        return Relevance(self.given[: len(texts)])

    async def close(self) -> None:
        return None


def passage(name: str, score: float) -> Passage:
    return Passage(Chunk(name, "d", 1, 0, "a", "a", f"text {name}", 0, 6), score, cosine=0.5)


def context(left_s: float = 10.0) -> RequestContext:
    return RequestContext("r1", Deadline(left_s, lambda: 0.0))


def stage(reranker: Reranker | None, **settings: object) -> RerankStage:
    chosen = RerankSettings.model_validate({"backend": "onnx", "model": "m", **settings})
    return RerankStage(chosen, lambda: reranker)


PASSAGES = [passage("a", 0.9), passage("b", 0.8), passage("c", 0.7), passage("d", 0.5)]


async def test_the_best_are_ordered_by_relevance_and_the_others_follow_below_them() -> None:
    reranker = Reranker([0.2, 0.4, 0.9])

    found = await stage(reranker, candidates=3).ordered("q", PASSAGES, context())

    assert found is not None
    assert [one.chunk.chunk_id for one in found] == ["c", "b", "a", "d"]
    assert [one.score for one in found] == pytest.approx([0.9, 0.4, 0.2, 0.1])
    assert [one.cosine for one in found] == [0.5] * 4
    assert reranker.asked[0][:2] == ("q", ["text a", "text b", "text c"])
    assert [one.score for one in PASSAGES] == [0.9, 0.8, 0.7, 0.5]


async def test_equal_relevance_keeps_the_order() -> None:
    found = await stage(Reranker([0.5] * 4)).ordered("q", PASSAGES, context())

    assert found is not None
    assert [one.chunk.chunk_id for one in found] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "error", [Unavailable("x"), Overloaded("x"), DeadlineExceeded("x"), UpstreamFailed("x"), Internal("x")]
)
async def test_a_failure_gives_no_order(error: ArgosyError) -> None:
    assert await stage(Reranker(error)).ordered("q", PASSAGES, context()) is None


async def test_a_model_that_is_not_loaded_gives_no_order() -> None:
    assert await stage(None).ordered("q", PASSAGES, context()) is None


@pytest.mark.parametrize(("left_s", "allowed_s"), [(10.0, 2.0), (2.0, 0.8)])
async def test_the_stage_takes_its_own_time_at_most_and_leaves_time_for_the_fallback(
    left_s: float, allowed_s: float
) -> None:
    reranker = Reranker([0.5] * 4)

    await stage(reranker, timeout_ms=2000).ordered("q", PASSAGES, context(left_s))

    assert reranker.asked[0][2] == pytest.approx(allowed_s)


async def test_no_passages_ask_nobody() -> None:
    reranker = Reranker([])

    assert await stage(reranker).ordered("q", [], context()) == []
    assert reranker.asked == []


def test_a_passage_is_told_with_its_title_and_headings_once() -> None:
    chunk = Chunk("c", "d", 1, 0, "a", "a", "Thirty euros.", 0, 6, title="Keys", heading_path=["Keys", "Lost keys"])

    assert told(chunk) == "Keys > Lost keys\nThirty euros."
    assert told(passage("a", 1).chunk) == "text a"
