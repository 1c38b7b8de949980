from __future__ import annotations

import time

import pytest

from argosy.clients.exchange import RawResponse
from argosy.contracts.embedding import QueryVector
from argosy.contracts.errors import Unavailable
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.contracts.retrieval import QueryAnalysis, RetrievalResponse, SearchMode
from tests.asgi import call
from tests.unit.gateway.fakes import PASSAGE, TEXT, Rig

pytestmark = pytest.mark.unit


async def test_a_search_answers_its_results_with_their_place(rig: Rig) -> None:
    answer = await call(
        rig.app,
        "POST",
        "/v1/search",
        json={"query": "tide", "top_k": 5, "mode": "dense", "filters": {"year": 1999, "draft": False}},
    )

    asked, _ = rig.upstream.retrieval.asked[0]
    assert (asked.query, asked.top_k, asked.mode, asked.filters) == (
        "tide",
        5,
        SearchMode.DENSE,
        {"year": 1999, "draft": False},
    )
    assert answer.json() == {
        "results": [
            {
                "chunk_id": "c1",
                "document_id": "d1",
                "name": "tides.md",
                "source": "file:tides.md",
                "title": "Tides",
                "text": TEXT,
                "score": 1.0,
                "page": 3,
                "last_page": 4,
                "start": 100,
                "end": 100 + len(TEXT),
                "heading_path": [],
                "metadata": {},
                "duplicates": 0,
            }
        ],
        "degraded": [],
        "timings_ms": {"store": 1.5},
        "warning": None,
    }


async def test_a_query_in_a_language_that_the_model_does_not_know_is_answered_with_a_warning(rig: Rig) -> None:
    vector = QueryVector("m", "r", 1, b"\0\0\x80?")
    for language, warned in (("de", True), ("en", False), ("", False)):
        rig.upstream.retrieval.answer = RetrievalResponse(
            [PASSAGE], query_vector=vector, analysis=QueryAnalysis(language)
        )
        answer = await call(rig.app, "POST", "/v1/search", json={"query": "Liegeplatz"})
        said = answer.json()["warning"]
        assert ("does not know the language de" in str(said)) == warned


async def test_a_degraded_search_says_so_and_is_counted(rig: Rig) -> None:
    rig.upstream.retrieval.answer = RetrievalResponse([PASSAGE], ["embedding"])

    answer = await call(rig.app, "POST", "/v1/search", json={"query": "tide"})

    assert answer.json()["degraded"] == ["embedding"]
    assert answer.headers["x-argosy-degraded"] == "embedding"
    assert rig.metric("argosy_degraded_answers_total", missing="embedding") == 1


async def test_requests_are_measured_under_their_routes_pattern(rig: Rig) -> None:
    await call(rig.app, "GET", "/v1/documents/some-id")

    assert rig.metric("argosy_request_duration_seconds_count", route="/v1/documents/{document_id}", status="200") == 1


async def test_models_lists_collections_and_the_embedding_model(rig: Rig) -> None:
    rig.upstream.documents.answer = RawResponse(
        200, b'{"collections": [{"name": "default", "documents": 1, "created_at": 5.5}]}', "application/json", None
    )

    answer = await call(rig.app, "GET", "/v1/models")

    listed = answer.json()["data"]
    assert [m["id"] for m in listed] == [  # type: ignore[attr-defined]
        "argosy",
        "argosy/default",
        "sentence-transformers/all-MiniLM-L6-v2",
    ]
    assert listed[1] == {"id": "argosy/default", "created": 5, "owned_by": "argosy", "object": "model"}  # type: ignore[index]


async def test_models_without_the_documents_service_still_lists_what_is_known(rig: Rig) -> None:
    rig.upstream.documents.error = Unavailable("The documents service has no running replica.")

    answer = await call(rig.app, "GET", "/v1/models")

    assert answer.json()["degraded"] == ["documents"]
    assert len(answer.json()["data"]) == 2  # type: ignore[arg-type]


async def test_health_is_the_controllers_view(rig: Rig) -> None:
    answer = await call(rig.app, "GET", "/v1/health")

    assert answer.json() == {
        "status": "HEALTHY",
        "services": [],
        "controller": {"pid": 7, "started_at": 1.0, "version": "0.1.0", "status": "HEALTHY", "reason": ""},
        "note": "",
    }


async def test_without_a_controller_health_is_what_the_gateway_sees_and_says_so(rig: Rig) -> None:
    rig.upstream.status.controller_runs = False
    rig.upstream.directory.apply(
        EndpointSet(
            "1.1",
            {
                "store": [Endpoint("store-1", "http://127.0.0.1:1"), Endpoint("store-2", "http://127.0.0.1:3")],
                "documents": [Endpoint("store-1", "http://127.0.0.1:1")],
                "embedding": [Endpoint("embedding-1", "http://127.0.0.1:2")],
            },
        )
    )

    said = (await call(rig.app, "GET", "/v1/health")).json()

    services = {service["name"]: service for service in said["services"]}  # type: ignore[attr-defined]
    assert said["status"] == "DEGRADED"
    assert said["controller"] is None
    assert "controller is not running" in str(said["note"])
    assert services["embedding"]["status"] == "HEALTHY"
    assert services["embedding"]["replicas"][0]["pid"] == 42
    assert services["store"]["status"] == "DEGRADED"
    assert services["documents"]["status"] == "UNHEALTHY"
    assert "cannot be reached" in services["store"]["reason"]
    assert services["gateway"]["reason"] == "no running replica is known"


async def test_the_description_knows_every_field_and_the_page_loads_nothing_from_elsewhere(rig: Rig) -> None:
    described = (await call(rig.app, "GET", "/openapi.json")).json()
    page = await call(rig.app, "GET", "/docs")

    schemas = described["components"]["schemas"]  # type: ignore[index]
    assert {"SearchBody", "ChatBody", "EmbeddingsBody", "ChatMessage"} <= set(schemas)
    assert "top_k" in schemas["SearchBody"]["properties"]
    assert page.status == 200
    assert b"/v1/chat/completions" in page.body
    assert b"<script" not in page.body
    assert b"http" not in page.body
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_a_search_costs_the_gateway_less_than_3_ms_of_cpu(rig: Rig) -> None:
    rig.upstream.retrieval.answer = RetrievalResponse([PASSAGE] * 10)
    await call(rig.app, "POST", "/v1/search", json={"query": "warm"})

    before_s = time.process_time()
    for _ in range(100):
        await call(rig.app, "POST", "/v1/search", json={"query": "tide"})

    assert (time.process_time() - before_s) / 100 < 0.003
