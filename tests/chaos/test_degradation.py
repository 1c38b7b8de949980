"""The degradation matrix: while a service is down, answers come from its fallback and name it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.fleet import ChaosFleet, Elsewhere
from tests.chaos.library import TUGS
from tests.chaos.load import WITH_ECHO, Load, chat
from tests.e2e.fleet import names, until
from tests.e2e.wire import Answer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

UNKNOWN_WORD = "xylophonist"
"""A word in no document: a dense search always finds a nearest chunk, a lexical search finds nothing."""
KILLED = "(killed by signal 9)"


def search(fleet: ChaosFleet, query: str, deadline_ms: int = 5000) -> Answer:
    headers = {"x-argosy-deadline-ms": str(deadline_ms)}
    return fleet.call("POST", "/v1/search", {"query": query}, headers=headers)


def ask(fleet: ChaosFleet, name: str) -> Answer:
    messages = [{"role": "user", "content": f"What colour is the tug {name}?"}]
    return fleet.call("POST", "/v1/chat/completions", {"model": "argosy", "messages": messages})


def upload(fleet: ChaosFleet, name: str, text: str) -> Answer:
    return fleet.call("POST", "/v1/documents", {"documents": [{"id": name, "text": text}], "collection": "late"})


def test_without_embedding_search_and_answers_go_by_words(fleet: ChaosFleet) -> None:
    assert search(fleet, UNKNOWN_WORD).json()["results"]
    before = fleet.counted("embedding")
    with fleet.without("embedding"):
        with Load(fleet.url, WITH_ECHO) as load:
            code, services = fleet.status()
        found, nothing, answer = search(fleet, "Smew"), search(fleet, UNKNOWN_WORD), ask(fleet, "Smew")
        refused = fleet.call("POST", "/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": "x"})
        counted = fleet.counted("embedding") - before
    load.assert_none_failed()
    assert load.degraded() == {"embedding"}
    assert names(found.json()["results"]) == {"Smew.md"}
    assert (nothing.json()["results"], nothing.json()["degraded"]) == ([], ["embedding"])
    assert answer.json()["degraded"] == ["embedding"]
    assert TUGS["Smew"] in answer.json()["choices"][0]["message"]["content"]
    assert {found.headers["x-argosy-degraded"], answer.headers["x-argosy-degraded"]} == {"embedding"}
    assert counted == 3 + sum(bool(outcome.degraded) for outcome in load.outcomes)
    assert refused.status == 503
    assert "embedding" in refused.json()["error"]["message"]
    assert code == 1
    reasons = {name: (service["status"], service["reason"]) for name, service in services.items()}
    assert reasons["embedding"] == ("UNHEALTHY", KILLED.strip("()"))
    assert reasons["retrieval"] == ("DEGRADED", f"embedding UNHEALTHY, search is lexical only {KILLED}")
    assert reasons["generation"] == ("DEGRADED", f"embedding UNHEALTHY, sentences are ranked by words only {KILLED}")
    assert reasons["gateway"][0] == "DEGRADED"
    assert reasons["store"] == ("HEALTHY", "")


def test_without_generation_the_gateway_answers_from_the_passages(fleet: ChaosFleet) -> None:
    before = fleet.counted("generation")
    with fleet.without("generation"):
        with Load(fleet.url, WITH_ECHO) as load:
            code, services = fleet.status()
        answer = ask(fleet, "Scoter")
        counted = fleet.counted("generation") - before
    load.assert_none_failed()
    assert {outcome.degraded for outcome in load.of("search")} == {frozenset()}
    answered = load.of("chat") + load.of("stream")
    assert {outcome.degraded for outcome in answered} == {frozenset({"generation"})}
    assert answer.headers["x-argosy-degraded"] == "generation"
    assert answer.json()["degraded"] == ["generation"]
    assert TUGS["Scoter"] in answer.json()["choices"][0]["message"]["content"]
    assert answer.json()["citations"][0]["name"] == "Scoter.md"
    assert counted == 1 + len(answered)
    assert code == 1
    assert services["generation"]["status"] == "UNHEALTHY"
    assert services["gateway"]["status"] == "DEGRADED"
    consequence = f"generation UNHEALTHY, answers are extractive, made by the gateway {KILLED}"
    assert services["gateway"]["reason"] == consequence


def test_without_documents_uploads_are_refused_and_queries_are_not(fleet: ChaosFleet) -> None:
    with fleet.without("documents"):
        with Load(fleet.url, WITH_ECHO) as load:
            code, services = fleet.status()
        refused = upload(fleet, "late.md", "The late one.")
        models = fleet.call("GET", "/v1/models")
    load.assert_none_failed()
    assert load.degraded() == set()
    assert refused.status == 503
    assert float(refused.headers["retry-after"]) >= 1
    assert "documents" in refused.json()["error"]["message"]
    assert refused.json()["error"]["retryable"]
    assert (models.status, models.json()["degraded"]) == (200, ["documents"])
    assert (code, services["documents"]["status"]) == (1, "UNHEALTHY")
    consequence = f"documents UNHEALTHY, uploads are refused with 503, queries are untouched {KILLED}"
    assert services["gateway"]["reason"] == consequence


def test_without_the_store_callers_wait_within_their_deadline(fleet: ChaosFleet) -> None:
    with ThreadPoolExecutor(2) as callers:
        with fleet.without("store"):
            waiting = callers.submit(search, fleet, "Pintail", 60_000)
            refused = search(fleet, "Pintail", 1500)
            accepted = upload(fleet, "meanwhile.md", "The tug Scaup is painted amber.")
            code, services = fleet.status()
            assert not waiting.done()
        answer = waiting.result()
    assert refused.status == 503
    assert "store service" in refused.json()["error"]["message"]
    assert refused.json()["error"]["retryable"]
    assert answer.status == 200
    assert "Pintail.md" in names(answer.json()["results"])
    assert code == 1
    assert services["store"]["status"] == "UNHEALTHY"
    assert services["store"]["reason"] == KILLED.strip("()")
    waits = f"store UNHEALTHY, search waits for the store within its deadline, then answers 503 {KILLED}"
    assert (services["retrieval"]["status"], services["retrieval"]["reason"]) == ("UNHEALTHY", waits)
    assert "store UNHEALTHY" in services["gateway"]["reason"]
    assert "accepted documents wait" in services["documents"]["reason"]
    assert accepted.status == 202
    until(lambda: fleet.documents("late")[0]["status"] == "indexed", "the waiting document to be indexed")


def test_without_retrieval_search_and_chat_are_refused_by_name(fleet: ChaosFleet) -> None:
    with fleet.without("retrieval"):
        answers = [search(fleet, "Smew"), ask(fleet, "Smew")]
        code, services = fleet.status()
    assert [answer.status for answer in answers] == [503, 503]
    assert all("retrieval" in answer.json()["error"]["message"] for answer in answers)
    assert code == 1
    assert services["gateway"]["reason"].endswith(f"retrieval UNHEALTHY, search and chat answer 503 {KILLED}")


def test_without_a_gateway_the_fleet_is_unhealthy_and_says_so(fleet: ChaosFleet) -> None:
    url = fleet.url
    with fleet.without("gateway"):
        code, services = fleet.status()
        view = fleet.view()
    assert (code, view["status"]) == (1, "UNHEALTHY")
    assert services["gateway"]["reason"] == KILLED.strip("()")
    fleet.recovered()
    assert chat(url, "Smew").wrong == ""


def test_without_a_service_of_ones_own_nothing_else_suffers(fleet: ChaosFleet) -> None:
    with fleet.without("echo"), Load(fleet.url) as load:
        refused = fleet.call("GET", "/services/echo/say/ahoy")
        code, services = fleet.status()
    load.assert_none_failed()
    assert load.degraded() == set()
    assert refused.status == 503
    assert "echo" in refused.json()["error"]["message"]
    assert (code, services["echo"]["status"], services["gateway"]["status"]) == (1, "UNHEALTHY", "HEALTHY")


def test_a_service_that_runs_elsewhere_is_watched(fleet: ChaosFleet, elsewhere: Elsewhere) -> None:
    assert fleet.call("GET", "/services/outside/x").json() == {"path": "/x"}
    elsewhere.status = 500
    try:
        seen = until(lambda: (s := fleet.service("outside"))["status"] == "UNHEALTHY" and s, "outside to be unhealthy")
    finally:
        elsewhere.status = 200
    assert seen["reason"] == "/readyz answered 500"
    fleet.recovered()
    assert fleet.call("GET", "/services/outside/x").status == 200
