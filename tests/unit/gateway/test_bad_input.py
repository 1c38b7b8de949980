from __future__ import annotations

from typing import Any

import pytest

from argosy.config.models import Fleet
from tests.asgi import Answer, call
from tests.unit.gateway.fakes import Rig

pytestmark = pytest.mark.unit

CHAT = "/v1/chat/completions"
USER = {"role": "user", "content": "When?"}


def chat(**fields: object) -> dict[str, object]:
    return {"model": "argosy", "messages": [USER], **fields}


BAD: list[tuple[str, str, dict[str, Any], int, str, str | None, str]] = [
    ("empty question", "/v1/search", {"query": ""}, 400, "invalid_request", "query", "empty"),
    ("blank question", "/v1/search", {"query": " \n "}, 400, "invalid_request", "query", "empty"),
    ("no question", "/v1/search", {}, 400, "invalid_request", "query", "missing"),
    ("question of 100 kB", "/v1/search", {"query": "x" * 100_000}, 413, "too_large", "query", "32000"),
    ("unknown field", "/v1/search", {"query": "x", "topk": 3}, 400, "invalid_request", "topk", "did you mean top_k"),
    ("odd field", "/v1/search", {"query": "x", "zzz": 3}, 400, "invalid_request", "zzz", "known here are query"),
    ("top_k 0", "/v1/search", {"query": "x", "top_k": 0}, 400, "invalid_request", "top_k", "given: 0"),
    ("top_k 151", "/v1/search", {"query": "x", "top_k": 151}, 400, "invalid_request", "top_k", "150"),
    ("wrong type", "/v1/search", {"query": 3}, 400, "invalid_request", "query", "a string"),
    ("wrong mode", "/v1/search", {"query": "x", "mode": "fast"}, 400, "invalid_request", "mode", "'hybrid'"),
    ("nested filter", "/v1/search", {"query": "x", "filters": {"a": {}}}, 400, "invalid_request", "filters.a", ""),
    ("rerank", "/v1/search", {"query": "x", "rerank": "all"}, 400, "invalid_request", "rerank", "true or false"),
    ("no text", "/v1/rerank", {"query": "x", "documents": []}, 400, "invalid_request", "documents", "at least 1"),
    ("blank text", "/v1/rerank", {"query": "x", "documents": ["a", " "]}, 400, "invalid_request", "documents", "1"),
    ("no documents", "/v1/rerank", {"query": "x"}, 400, "invalid_request", "documents", "missing"),
    ("no query", "/v1/rerank", {"query": " ", "documents": ["a"]}, 400, "invalid_request", "query", "empty"),
    ("top_n 0", "/v1/rerank", {"query": "x", "documents": ["a"], "top_n": 0}, 400, "invalid_request", "top_n", "1"),
    (
        "too many documents",
        "/v1/rerank",
        {"query": "x", "documents": ["a"] * 1001},
        400,
        "invalid_request",
        "documents",
        "1000; send fewer",
    ),
    (
        "picture",
        "/v2/rerank",
        {"query": "x", "documents": [{"image": "http://x/y.png"}]},
        400,
        "invalid_request",
        "documents.0.image",
        "known here are text",
    ),
    (
        "long document",
        "/v1/rerank",
        {"query": "x", "documents": ["x" * 200_001]},
        400,
        "invalid_request",
        "documents",
        "200000",
    ),
    (
        "other field ranked",
        "/v1/rerank",
        {"query": "x", "documents": ["a"], "rank_fields": ["title"]},
        400,
        "invalid_request",
        "rank_fields.0",
        "text",
    ),
    ("no collection", "/v1/search", {"query": "x", "collection": "no"}, 404, "collection_not_found", None, "no"),
    ("no messages", CHAT, chat(messages=[]), 400, "invalid_request", "messages", "at least 1"),
    ("no user", CHAT, chat(messages=[{"role": "system", "content": "x"}]), 400, "invalid_request", "messages", "user"),
    (
        "empty message",
        CHAT,
        chat(messages=[{"role": "user", "content": " "}]),
        400,
        "invalid_request",
        "messages.0.content",
        "empty",
    ),
    (
        "long message",
        CHAT,
        chat(messages=[{"role": "user", "content": "x" * 100_000}]),
        413,
        "too_large",
        "messages.0.content",
        "max_question_chars",
    ),
    (
        "long history",
        CHAT,
        chat(messages=[{"role": "user", "content": "x" * 31_000}] * 11 + [USER]),
        413,
        "too_large",
        "messages",
        "320000",
    ),
    (
        "unknown message field",
        CHAT,
        chat(messages=[{**USER, "contents": "x"}]),
        400,
        "invalid_request",
        "messages.0.contents",
        "did you mean content",
    ),
    (
        "image",
        CHAT,
        chat(messages=[{"role": "user", "content": [{"type": "image_url", "text": "x"}]}]),
        400,
        "invalid_request",
        "messages.0.content.0.type",
        "text",
    ),
    ("n=2", CHAT, chat(n=2), 400, "invalid_request", "n", "1"),
    ("tools", CHAT, chat(tools=[{}]), 400, "invalid_request", "tools", "at most 0"),
    (
        "json mode",
        CHAT,
        chat(response_format={"type": "json_object"}),
        400,
        "invalid_request",
        "response_format.type",
        "",
    ),
    ("other model", CHAT, chat(model="gpt-9"), 404, "model_not_found", "model", "argosy/COLLECTION"),
    ("slash", CHAT, chat(model="argosy/"), 404, "model_not_found", "model", "argosy/COLLECTION"),
    ("two", CHAT, chat(model="argosy/a", collection="b"), 400, "invalid_request", "collection", "one of them"),
    ("top_k 51 in chat", CHAT, chat(top_k=51), 400, "invalid_request", "top_k", "50"),
]


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "param", "says"), [b[1:] for b in BAD], ids=[b[0] for b in BAD]
)
async def test_a_wrong_request_is_told_what_is_wrong_in_openais_shape(
    rig: Rig, path: str, body: dict[str, Any], status: int, code: str, param: str | None, says: str
) -> None:
    answer = await call(rig.app, "POST", path, json=body)

    error = answer.error()
    assert (answer.status, error["code"], error["param"]) == (status, code, param), error
    assert says in str(error["message"])
    assert error["request_id"] == answer.headers["x-request-id"]
    assert set(error) == {"message", "type", "code", "param", "request_id", "retryable"}
    assert len(answer.body) < 1000


@pytest.mark.parametrize("body", [b"{not json", b'{"query": "x"', b"", b"\xff\xfe", b'{"query": "\xff"}'])
async def test_a_body_that_is_not_json_is_refused(rig: Rig, body: bytes) -> None:
    answer = await call(rig.app, "POST", "/v1/search", body=body, headers={"content-type": "application/json"})

    assert answer.status == 400
    assert "not valid JSON" in str(answer.error()["message"])


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"3"])
async def test_a_body_that_is_no_object_is_refused(rig: Rig, body: bytes) -> None:
    answer = await call(rig.app, "POST", "/v1/search", body=body, headers={"content-type": "application/json"})

    assert answer.status == 400
    assert "JSON object" in str(answer.error()["message"])


async def search(rig: Rig, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await call(rig.app, "POST", "/v1/search", json={"query": "x"}, headers=sent)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"host": "evil.example"}, 421, "misdirected_request"),
        ({"host": "127.0.0.1.evil.example"}, 421, "misdirected_request"),
        ({"origin": "http://evil.example"}, 403, "forbidden"),
        ({"origin": "null"}, 403, "forbidden"),
        ({"sec_fetch_site": "cross-site"}, 403, "forbidden"),
        ({"content_type": "text/plain"}, 415, "unsupported_type"),
        ({"content_type": "application/x-www-form-urlencoded"}, 415, "unsupported_type"),
        ({"content_type": "multipart/form-data; boundary=x"}, 415, "unsupported_type"),
        ({"x_argosy_deadline_ms": "soon"}, 400, "invalid_request"),
        ({"x_argosy_deadline_ms": "0"}, 504, "deadline_exceeded"),
    ],
)
async def test_what_a_browser_could_be_made_to_send_is_refused(
    rig: Rig, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await search(rig, **headers)

    assert (answer.status, answer.error()["code"]) == (status, code)
    assert rig.upstream.retrieval.asked == [] or code == "deadline_exceeded"


async def test_headers_of_ours_from_outside_are_clamped(rig: Rig) -> None:
    answer = await search(rig, x_argosy_deadline_ms="99999999", x_argosy_anything="x")

    _, context = rig.upstream.retrieval.asked[0]
    assert answer.status == 200
    assert context.deadline.remaining_s() <= rig.fleet.services.gateway.max_timeout_s


async def test_a_search_has_its_own_deadline(rig: Rig) -> None:
    rig.kit.clock = lambda: 100.0

    await search(rig)

    _, context = rig.upstream.retrieval.asked[0]
    assert context.deadline.remaining_s() == pytest.approx(5.0)


@pytest.mark.parametrize("path", ["/internal/status", "/internal/anything"])
async def test_what_is_not_public_needs_the_fleets_token(rig: Rig, path: str) -> None:
    answer = await call(rig.app, "GET", path, headers={"authorization": "Bearer guess"})

    assert answer.status == 401


@pytest.mark.parametrize("path", ["/v2/search", "/", "/services/nobody/x"])
async def test_what_is_not_there_is_not_found(rig: Rig, path: str) -> None:
    assert (await call(rig.app, "GET", path)).status == 404


async def test_unknown_routes_and_methods_are_errors_of_ours(rig: Rig) -> None:
    missing = await call(rig.app, "GET", "/v1/nothing")
    wrong = await call(rig.app, "GET", "/v1/search")

    assert (missing.status, missing.error()["code"]) == (404, "not_found")
    assert (wrong.status, wrong.error()["code"]) == (405, "method_not_allowed")


async def test_a_body_without_a_length_is_counted_as_it_comes() -> None:
    rig = Rig(Fleet.model_validate({"services": {"gateway": {"max_body_bytes": 2000}}}))

    answer = await call(
        rig.app,
        "POST",
        "/v1/search",
        body=[b'{"query": "', b"x" * 3000, b'"}'],
        headers={"content-type": "application/json"},
    )

    assert (answer.status, answer.error()["code"]) == (413, "too_large")


async def test_a_bug_shows_nothing_of_the_inside(rig: Rig) -> None:
    rig.upstream.retrieval.answer = None  # type: ignore[assignment]

    answer = await search(rig)

    assert answer.status == 500
    assert b"NoneType" not in answer.body


async def test_before_the_gateway_knows_the_fleet_it_says_to_come_back() -> None:
    rig = Rig(connected=False)

    answer = await search(rig)

    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
