from __future__ import annotations

from typing import Any

import pytest

from argosy.contracts.errors import Unavailable
from tests.asgi import call
from tests.unit.gateway.fakes import Rig

pytestmark = pytest.mark.unit

TEXTS = ["short", "the longest of these texts", "of middling size"]

COHERE_V1 = {"model": "rerank-english-v3.0", "query": "tide", "documents": [{"text": one} for one in TEXTS]}
COHERE_V2 = {"model": "rerank-v3.5", "query": "tide", "documents": TEXTS, "top_n": 2, "max_tokens_per_doc": 4096}
JINA = {"model": "jina-reranker-v2-base-multilingual", "query": "tide", "documents": TEXTS, "top_n": 3}
"""Bodies as the clients of these APIs send them."""


@pytest.mark.parametrize(
    ("path", "body", "order"),
    [
        ("/v1/rerank", {**COHERE_V1, "return_documents": False, "rank_fields": ["text"]}, [1, 2, 0]),
        ("/v2/rerank", {**COHERE_V2, "priority": 0}, [1, 2]),
        ("/v1/rerank", {**JINA, "truncation": True, "return_documents": False}, [1, 2, 0]),
        ("/v1/rerank", {"query": "tide", "documents": TEXTS, "top_n": None}, [1, 2, 0]),
    ],
)
async def test_texts_are_ranked_in_the_shape_that_clients_read(
    rig: Rig, path: str, body: dict[str, Any], order: list[int]
) -> None:
    answer = await call(rig.app, "POST", path, json=body)

    assert answer.status == 200
    assert rig.upstream.retrieval.reranked[0].query == "tide"
    assert rig.upstream.retrieval.reranked[0].texts == TEXTS
    found = answer.json()
    assert found["results"] == [{"index": at, "relevance_score": len(TEXTS[at]) / 1000} for at in order]
    assert found["model"] == "a-reranker"
    assert found["usage"] == {"total_tokens": 12}
    assert found["meta"] == {"tokens": {"input_tokens": 12}}
    assert found["id"] == answer.headers["x-request-id"]
    assert found["degraded"] == []


async def test_the_texts_come_back_when_they_are_asked_for(rig: Rig) -> None:
    answer = await call(rig.app, "POST", "/v1/rerank", json={**JINA, "top_n": 1, "return_documents": True})

    assert answer.json()["results"] == [
        {"index": 1, "relevance_score": 0.026, "document": {"text": "the longest of these texts"}}
    ]


async def test_a_degraded_ranking_says_so(rig: Rig) -> None:
    rig.upstream.retrieval.answer.degraded = ["rerank"]

    answer = await call(rig.app, "POST", "/v1/rerank", json=JINA)

    assert answer.json()["degraded"] == ["rerank"]
    assert answer.headers["x-argosy-degraded"] == "rerank"


async def test_without_retrieval_the_error_has_the_usual_shape(rig: Rig) -> None:
    rig.upstream.retrieval.error = Unavailable("gone", retry_after_s=1.0)

    answer = await call(rig.app, "POST", "/v1/rerank", json=JINA)

    assert answer.status == 503
    assert answer.error()["code"] == "unavailable"


@pytest.mark.parametrize("asked", [True, False, None])
async def test_a_search_passes_its_wish_for_reranking_on(rig: Rig, asked: bool | None) -> None:
    await call(rig.app, "POST", "/v1/search", json={"query": "tide", "rerank": asked})

    assert rig.upstream.retrieval.asked[0][0].rerank is asked


async def test_a_search_and_a_chat_without_a_wish_leave_it_to_the_fleet(rig: Rig) -> None:
    await call(rig.app, "POST", "/v1/search", json={"query": "tide"})
    chat = {"model": "argosy", "messages": [{"role": "user", "content": "When does the tide turn?"}]}
    await call(rig.app, "POST", "/v1/chat/completions", json=chat)

    assert [asked.rerank for asked, _ in rig.upstream.retrieval.asked] == [None, None]
