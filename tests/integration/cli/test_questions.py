"""`argosy ask` and `argosy search` against a real HTTP server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from argosy.contracts.errors import InvalidRequest, Unavailable
from tests.integration.cli.conftest import FakeFleet, Invoke

pytestmark = pytest.mark.integration

CHAT = "/v1/chat/completions"
CITATION = {
    "index": 1,
    "document_id": "d",
    "name": "handbook.md",
    "source": "file:///handbook.md",
    "title": None,
    "heading_path": ["Opening hours"],
    "chunk_id": "c",
    "page": 3,
    "start": 0,
    "end": 9,
    "quote": "The office\nopens at nine.",
    "score": 0.9,
}
CITED = '[1] handbook.md › Opening hours (p. 3)  "The office opens at nine."'
ANSWER: dict[str, Any] = {
    "model": "argosy",
    "answered_by": "extractive",
    "choices": [{"message": {"role": "assistant", "content": "It opens at nine [1]."}}],
    "citations": [CITATION],
    "degraded": [],
    "timings_ms": {"total": 5.0},
}


def events(*messages: object, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(message)}\n\n" for message in messages]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def delta(text: str) -> dict[str, object]:
    return {"model": "argosy", "choices": [{"delta": {"content": text}}]}


def test_an_answer_is_printed_with_its_sources(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("POST", CHAT, ANSWER)

    result = argosy("ask", "When does it open?", "--collection", "papers")

    assert result.exit_code == 0, result.output
    assert result.stdout == f"It opens at nine [1].\n\n{CITED}\n"
    assert fleet.bodies == [
        {
            "model": "argosy",
            "messages": [{"role": "user", "content": "When does it open?"}],
            "stream": False,
            "collection": "papers",
        }
    ]


def test_a_fallback_is_told(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("POST", CHAT, {**ANSWER, "degraded": ["generation", "embedding"]})

    assert "Degraded answer: a fallback replaced generation, embedding.\n" in argosy("ask", "When?").stdout


def test_as_json_an_answer_has_the_documented_fields(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("POST", CHAT, ANSWER)

    shown = json.loads(argosy("ask", "When?", "--json", "--stream").stdout)

    assert shown["answer"] == "It opens at nine [1]."
    assert shown["citations"][0]["heading_path"] == ["Opening hours"]
    assert (shown["degraded"], shown["model"], shown["timings_ms"]) == ([], "argosy", {"total": 5.0})
    assert fleet.bodies[0]["stream"] is False


def test_a_streamed_answer_reads_like_a_whole_one(fleet: FakeFleet, argosy: Invoke) -> None:
    last = {"model": "argosy", "choices": [{"delta": {}}], "citations": [CITATION], "degraded": []}
    fleet.answer("POST", CHAT, events(delta("It opens "), delta("at nine [1]."), last))

    result = argosy("ask", "When?", "--stream")

    assert result.exit_code == 0, result.output
    assert result.stdout == f"It opens at nine [1].\n\n{CITED}\n"
    assert fleet.bodies[0]["stream"] is True


def test_a_stream_that_is_cut_off_is_an_error(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("POST", CHAT, events(delta("It opens "), done=False))

    result = argosy("ask", "When?", "--stream")

    assert result.exit_code == 1
    assert result.stderr == "error: The answer ended before it was complete; ask again.\n"


def test_an_error_inside_a_stream_is_told(fleet: FakeFleet, argosy: Invoke) -> None:
    error = {"error": {"message": "The model fell silent.", "type": "server_error", "code": "upstream_failed"}}
    fleet.answer("POST", CHAT, events(delta("It "), error, done=False))

    result = argosy("ask", "When?", "--stream")

    assert (result.exit_code, result.stderr) == (1, "error: The model fell silent.\n")


def test_the_gateways_own_sentence_reaches_the_user(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("POST", CHAT, InvalidRequest("The question is empty."))

    result = argosy("ask", "")

    assert (result.exit_code, result.stderr) == (1, "error: The question is empty.\n")


def test_search_prints_passages(fleet: FakeFleet, argosy: Invoke) -> None:
    hit = {**CITATION, "text": "The office opens at nine.", "metadata": {}}
    fleet.answer("POST", "/v1/search", {"results": [hit], "degraded": ["embedding"], "timings_ms": {}})

    result = argosy("search", "opening", "--mode", "lexical", "--top-k", "3")

    assert "0.900  handbook.md › Opening hours (p. 3)  The office opens at nine." in result.stdout.splitlines()
    assert "Degraded answer: a fallback replaced embedding." in result.stdout
    assert fleet.bodies == [{"query": "opening", "mode": "lexical", "top_k": 3}]


def test_search_as_json_is_the_gateways_answer(fleet: FakeFleet, argosy: Invoke) -> None:
    answer = {"results": [], "degraded": [], "timings_ms": {"total": 1.0}, "new_field": 1}
    fleet.answer("POST", "/v1/search", answer)

    assert json.loads(argosy("search", "x", "--json").stdout) == answer


def test_what_is_no_fleet_is_told_apart(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("POST", "/v1/search", {"hello": "world"})

    result = argosy("search", "x")

    assert result.exit_code == 1
    assert "check that --url is a fleet's" in result.stderr


def test_an_unavailable_service_is_named(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("POST", "/v1/search", Unavailable("The retrieval service is unavailable."))

    assert argosy("search", "x").stderr == "error: The retrieval service is unavailable.\n"
