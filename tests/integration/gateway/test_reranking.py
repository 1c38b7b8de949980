from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from argosy.config.models import Fleet
from argosy.models.resolver import MODEL_DIR_VARIABLE
from tests.integration.gateway.data_plane import TEXTS, Plane
from tests.integration.retrieval.rerank_endpoint import serving
from tests.unit.models.tiny_model import write_cross_encoder

pytestmark = pytest.mark.integration

QUERY = "How often does the tide turn?"


@pytest.fixture(autouse=True)
def own_model_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODEL_DIR_VARIABLE, str(tmp_path / "cache"))
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def plane_with(**rerank: object) -> AsyncIterator[Plane]:
    plane = Plane(Fleet.model_validate({"services": {"retrieval": {"rerank": rerank}}}))
    async with plane.running():
        yield plane


async def post(plane: Plane, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.post(plane.url + path, json=body) as answer:
        found: dict[str, Any] = {**await answer.json(), "status": answer.status}
        found["degraded_header"] = answer.headers.get("x-argosy-degraded")
        return found


async def test_an_endpoint_orders_the_results_of_searches_unless_they_do_without() -> None:
    async with serving() as endpoint, plane_with(backend="tei", base_url=endpoint.url) as plane:
        found = await post(plane, "/v1/search", {"query": QUERY})
        plain = await post(plane, "/v1/search", {"query": QUERY, "rerank": False})

    assert [sorted(endpoint.asked[0]["texts"]), len(endpoint.asked)] == [sorted(TEXTS), 1]
    scores = [one["score"] for one in found["results"]]
    assert scores == [text.count("x") / len(text) for text in [one["text"] for one in found["results"]]]
    assert "rerank" in found["timings_ms"]
    assert found["degraded"] == []
    assert "rerank" not in plain["timings_ms"]
    assert plain["results"][0]["text"] == TEXTS[0]


@pytest.mark.parametrize("behaviour", ["429", "500", "partial", "page", "slow"])
async def test_when_the_endpoint_fails_the_search_keeps_its_order_and_says_so(behaviour: str) -> None:
    async with (
        serving() as endpoint,
        plane_with(backend="cohere", model="m", base_url=endpoint.url, timeout_ms=200) as plane,
    ):
        endpoint.behaviour = behaviour
        found = await post(plane, "/v1/search", {"query": QUERY})
        plain = await post(plane, "/v1/search", {"query": QUERY, "rerank": False})

    assert (found["status"], found["degraded"], found["degraded_header"]) == (200, ["rerank"], "rerank")
    assert found["results"] == plain["results"]


async def test_a_chat_is_reranked_by_the_setting_and_names_the_fallback() -> None:
    async with serving() as endpoint, plane_with(backend="jina", model="m", base_url=endpoint.url) as plane:
        chat = {"model": "argosy", "messages": [{"role": "user", "content": QUERY}]}
        answer = await post(plane, "/v1/chat/completions", chat)
        endpoint.behaviour = "500"
        degraded = await post(plane, "/v1/chat/completions", chat)

    assert len(endpoint.asked) == 2
    assert answer["degraded"] == []
    assert degraded["degraded"] == ["rerank"]
    assert degraded["citations"][0]["quote"] == TEXTS[0]


async def test_a_cross_encoder_in_the_service_scores_searches_and_texts(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "tiny")
    async with plane_with(backend="onnx", model=str(folder)) as plane:
        found = await post(plane, "/v1/search", {"query": "tide", "rerank": True})
        texts = ["at noon", "the tide falls by night", "a keeper lights the lamp"]
        ranked = await post(plane, "/v1/rerank", {"query": "the tide", "documents": texts, "top_n": 2})

    assert (found["degraded"], len(found["results"])) == ([], 3)
    scores = [one["score"] for one in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert (ranked["model"], len(ranked["results"]), ranked["degraded"]) == ("tiny", 2, [])
    assert ranked["usage"]["total_tokens"] > 15


async def test_without_its_model_the_service_serves_and_names_the_stage(tmp_path: Path) -> None:
    async with plane_with(backend="onnx", model=str(tmp_path / "missing")) as plane:
        found = await post(plane, "/v1/search", {"query": QUERY})
        ranked = await post(plane, "/v1/rerank", {"query": QUERY, "documents": TEXTS})

    assert (found["status"], found["degraded"]) == (200, ["rerank"])
    assert found["results"][0]["text"] == TEXTS[0]
    assert (ranked["model"], ranked["degraded"]) == ("argosy-hybrid", ["rerank"])
    assert ranked["results"][0]["index"] == 0


async def test_a_fleet_without_a_reranker_ranks_texts_by_vectors_and_words_and_refuses_to_rerank_searches() -> None:
    async with plane_with() as plane:
        ranked = await post(plane, "/v1/rerank", {"query": "tide turns", "documents": [*reversed(TEXTS)]})
        refused = await post(plane, "/v1/search", {"query": QUERY, "rerank": True})
        plain = await post(plane, "/v1/search", {"query": QUERY})
        plane.without("embedding")
        await plane.settled()
        by_words = await post(plane, "/v1/rerank", {"query": "tide turns", "documents": TEXTS})

    assert (ranked["model"], ranked["degraded"]) == ("argosy-hybrid", [])
    assert ranked["results"][0] == {"index": 2, "relevance_score": pytest.approx(1.0)}
    assert (refused["status"], refused["error"]["param"]) == (400, "rerank")
    assert "services.retrieval.rerank.backend" in refused["error"]["message"]
    assert set(plain["timings_ms"]) == {"embed", "store", "fuse"}
    assert by_words["degraded"] == ["embedding"]
    assert by_words["results"][0]["index"] == 0
