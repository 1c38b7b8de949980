"""Validation of a body is cheap, whatever its size, and its errors reveal no internals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Message

from argosy.config.models import Fleet
from argosy.config.services import DocumentsSettings
from argosy.contracts.codec import JSON, decode
from argosy.contracts.errors import ArgosyError, InvalidRequest, TooLarge
from argosy.contracts.generation import ChatTurn
from argosy.contracts.strict_json import MAX_DEPTH, parse
from argosy.control.api.app import create_admin_app
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.fake import FakePlatform
from argosy.services.documents.catalog.upload_space import SpooledUpload, UploadSpace
from argosy.services.documents.catalog.uploads import Incoming, Uploads
from argosy.services.gateway import reading
from argosy.serving.refusal import refusal
from tests.asgi import Answer, call
from tests.e2e.wire import Part, multipart
from tests.unit.gateway.fakes import Rig

pytestmark = pytest.mark.security

MIB = 2**20
CHAT, SEARCH, EMBED = "/v1/chat/completions", "/v1/search", "/v1/embeddings"
INTERNALS = ("type=", "pydantic", "Traceback", "dict", "list", "instance of", "msgspec", "`", ".py", "ChatMessage")
AUTHORIZED = {"authorization": "Bearer token", "content-type": JSON}


def repeated(before: bytes, item: bytes, after: bytes, size: int = MIB) -> bytes:
    return before + b",".join([item] * ((size - len(before)) // (len(item) + 1))) + after


def members(before: bytes, value: bytes, after: bytes, size: int = MIB) -> bytes:
    return before + b",".join(b'"%06d":%b' % (n, value) for n in range(size // (len(value) + 10))) + after


MESSAGES = b'{"model":"argosy","messages":['
QUESTION = b'{"model":"argosy","messages":[{"role":"user","content":"x"}],'
WRONG: dict[str, tuple[str, bytes]] = {
    "numbers as messages": (CHAT, repeated(MESSAGES, b"0", b"]}")),
    "objects as messages": (CHAT, repeated(MESSAGES, b"{}", b"]}")),
    "numbers as parts": (CHAT, repeated(MESSAGES + b'{"role":"user","content":[', b"0", b"]}]}")),
    "numbers as stops": (CHAT, repeated(QUESTION + b'"stop":[', b"0", b"]}")),
    "numbers as modalities": (CHAT, repeated(QUESTION + b'"modalities":[', b"0", b"]}")),
    "texts as biases": (CHAT, members(QUESTION + b'"logit_bias":{', b'"z"', b"}}")),
    "arrays as metadata": (CHAT, members(QUESTION + b'"metadata":{', b"[]", b"}}")),
    "unknown fields of a message": (CHAT, members(MESSAGES + b'{"role":"user","content":"x",', b"0", b"}]}")),
    "unknown fields": (CHAT, members(QUESTION, b"0", b"}")),
    "texts and one number to embed": (EMBED, repeated(b'{"model":"argosy","input":["x",', b"0", b"]}")),
    "arrays as filters": (SEARCH, members(b'{"query":"x","filters":{', b"[]", b"}}", 400_000)),
    "unknown fields of a search": (SEARCH, members(b'{"query":"x",', b"0", b"}", 400_000)),
}
SMALLER = {
    "objects as messages": (CHAT, repeated(MESSAGES, b"{}", b"]}", MIB // 4)),
    "numbers as parts": (CHAT, repeated(MESSAGES + b'{"role":"user","content":[', b"0", b"]}]}", MIB // 4)),
    "texts as biases": (CHAT, members(QUESTION + b'"logit_bias":{', b'"z"', b"}}", MIB // 4)),
    "arrays as filters": (SEARCH, members(b'{"query":"x","filters":{', b"[]", b"}}", MIB // 4)),
}


@pytest.fixture(scope="module")
def rig() -> Rig:
    """Gateway of all tests here: nothing that they send reaches a service."""
    return Rig()


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ASGIApp]:
    history = History(tmp_path_factory.mktemp("admin"))
    controller = Controller(
        Fleet(), FakePlatform(), Prober("token", 1.0), Publisher(1), Feed(history), history, public_port=0
    )
    with contextlib.closing(history):
        yield create_admin_app(controller, "token")


@pytest.fixture(scope="module", autouse=True)
def quiet_heap() -> Iterator[None]:
    """Freeze the heap, as a service does after its start, so that garbage collection skips existing objects."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


async def sent(rig: Rig, path: str, body: bytes) -> Answer:
    return await call(rig.app, "POST", path, body=body, headers={"content-type": JSON})


@pytest.mark.parametrize("case", WRONG)
async def test_a_mebibyte_of_wrong_items_costs_little_and_few_of_its_errors_are_gathered(
    case: str, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered = []

    def counted(errors: list[Any], model: type, value: object) -> InvalidRequest:
        gathered.append(len(errors))
        return refusal(errors, model, value)

    monkeypatch.setattr(reading, "refusal", counted)
    path, body = WRONG[case]
    began_s = time.process_time()
    answer = await sent(rig, path, body)
    spent_s = time.process_time() - began_s
    assert answer.status == 400
    assert len(answer.body) < 2000
    assert all(count < 10 for count in gathered)
    assert spent_s < 0.6, "twice what is promised: the machine is busy"


@pytest.mark.parametrize("case", SMALLER)
async def test_wrong_items_take_little_memory(case: str, rig: Rig) -> None:
    """Tracing is slow, so that the bodies are smaller here; the limit is a multiple of their size."""
    path, body, size = *SMALLER[case], MIB // 4
    await sent(rig, path, body)
    tracemalloc.start()
    await sent(rig, path, body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 * size


LARGE = {SEARCH: MIB, CHAT: 8 * MIB, EMBED: 33 * MIB, "/v1/documents": 33 * MIB, "/v1/collections": MIB}


@pytest.mark.parametrize(("path", "size"), LARGE.items())
async def test_a_body_is_no_larger_than_its_route_needs(path: str, size: int, rig: Rig) -> None:
    declared = {"content-type": JSON, "content-length": str(size)}
    answer = await call(rig.app, "POST", path, body=b"", headers=declared)
    assert answer.status == 413
    assert "limit" in str(answer.error()["message"])
    pieces = [b" " * MIB] * (size // MIB + 1)
    answer = await call(rig.app, "POST", path, body=pieces, headers={"content-type": JSON})
    assert answer.status == 413


async def test_a_large_body_is_parsed_beside_the_loop(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the parser wait for an action of the event loop."""
    loop = asyncio.get_running_loop()
    ticked = []

    def parsing(body: bytes) -> object:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(10)
        ticked.append(len(body))
        return parse(body)

    monkeypatch.setattr(reading, "parse", parsing)
    body = b'{"query":"x","zz":"' + b"x" * 300_000 + b'"}'
    assert (await sent(rig, SEARCH, body)).status == 400
    assert ticked == [len(body)]


BAD: dict[str, tuple[str, bytes, str | None, str]] = {
    "an empty name of a filter": (SEARCH, b'{"query":"x","filters":{"":[]}}', 'filters.""', "filters"),
    "an empty name of a bias": (CHAT, QUESTION + b'"logit_bias":{"":"z"}}', 'logit_bias.""', "logit_bias"),
    "an empty unknown name": (CHAT, QUESTION + b'"stream_options":{"":1}}', 'stream_options.""', "include_usage"),
    "23 digits": (CHAT, QUESTION + b'"max_tokens":99999999999999999999999}', "max_tokens", "19 digits"),
    "2^64": (CHAT, QUESTION + b'"max_completion_tokens":18446744073709551616}', "max_completion_tokens", "19 digits"),
    "2^62": (CHAT, QUESTION + b'"max_tokens":4611686018427387904}', "max_tokens", "at most 2147483647"),
    "100,000 digits": (SEARCH, b'{"query":"x","top_k":' + b"9" * 100_000 + b"}", "top_k", "19 digits"),
    "23 digits in a filter": (SEARCH, b'{"query":"x","filters":{"a":' + b"9" * 23 + b"}}", "filters.a", "digits"),
    "an endless number": (SEARCH, b'{"query":"x","filters":{"a":1e999}}', "filters.a", "too large"),
    "NaN": (SEARCH, b'{"query":"x","filters":{"a":NaN}}', "filters.a", "NaN"),
    "Infinity": (CHAT, QUESTION + b'"temperature":-Infinity}', "temperature", "Infinity"),
    "half a surrogate pair": (SEARCH, b'{"query":"\\ud800"}', "query", "surrogate"),
    "half a pair in a list": (EMBED, b'{"model":"argosy","input":["x","\\udfff"]}', "input.1", "surrogate"),
    "half a pair in a name": (SEARCH, b'{"query":"x","filters":{"\\ud800":1}}', "filters.\ufffd", "surrogate"),
    "half a pair in bytes": (SEARCH, b'{"query":"\xed\xa0\x80"}', None, "UTF-8 at byte 10"),
    "Latin-1": (SEARCH, b'{"query":"\xff"}', None, "UTF-8 at byte 10"),
    "UTF-16": (SEARCH, '{"query":"x"}'.encode("utf-16"), None, "UTF-8"),
    "a byte order mark": (SEARCH, b'\xef\xbb\xbf{"query":"x"}', None, "byte order mark"),
    "nothing": (SEARCH, b"", None, "empty"),
    "blanks": (CHAT, b" \n", None, "empty"),
    "a field twice": (SEARCH, b'{"query":"x","query":"y"}', "query", "twice"),
    "a field of a filter twice": (SEARCH, b'{"query":"x","filters":{"a":1,"a":2}}', "a", "twice"),
    "an array": (SEARCH, b"[]", None, "object"),
    "more than one value": (SEARCH, b'{"query":"x"}{}', None, "line 1, column 14"),
    "deep arrays": (SEARCH, b'{"query":"x","filters":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", None, "deep"),
    "deep objects": (CHAT, QUESTION + b'"metadata":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, None, "deep"),
    "deep and never closed": (EMBED, b"[" * 100_000, None, "deep"),
    "a long filter name": (SEARCH, b'{"query":"x","filters":{"%s":1}}' % (b"k" * 200), "filters." + "k" * 60, "128"),
    "a long filter": (SEARCH, b'{"query":"x","filters":{"a":"%s"}}' % (b"v" * 5000), "filters.a", "4096"),
    "a long unknown name": (SEARCH, b'{"query":"x","%s":1}' % (b"k" * 100_000), "k" * 60, "known here"),
    "a long wrong value": (SEARCH, b'{"query":"x","top_k":"%s"}' % (b"9" * 100_000), "top_k", "a whole number"),
    "a message that is none": (CHAT, b'{"model":"argosy","messages":[3]}', "messages.0", "an object"),
    "messages that are none": (CHAT, b'{"model":"argosy","messages":{}}', "messages", "an array"),
    "a stop that is none": (CHAT, QUESTION + b'"stop":{}}', "stop", "a string or an array"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
async def test_what_is_wrong_is_named_and_nothing_of_the_inside(case: str, rig: Rig) -> None:
    path, body, param, says = BAD[case]
    answer = await sent(rig, path, body)
    error = answer.error()
    message = str(error["message"])
    assert (answer.status, error["code"], error["param"]) == (400, "invalid_request", param), message
    assert says in message
    assert len(message) < 400
    assert not [word for word in INTERNALS if word in message]
    assert rig.upstream.retrieval.asked == []


@pytest.mark.parametrize("query", ["model=argosy&model=x", "zz=1", "dimensions=1e309", "dimensions=" + "9" * 5000])
async def test_a_wrong_query_is_named(query: str, rig: Rig) -> None:
    kind = {"content-type": "application/x-ndjson"}
    answer = await call(rig.app, "POST", f"{EMBED}?{query}", body=b'"x"\n', headers=kind)
    assert answer.status == 400
    assert answer.error()["param"] == query.partition("=")[0]
    assert len(answer.body) < 600


@pytest.mark.parametrize(
    "path", ["/v1/documents?after=%00", "/v1/documents?status=" + "x" * 600, "/v1/jobs?limit=1&limit=2"]
)
async def test_a_wrong_query_is_not_passed_on(path: str, rig: Rig) -> None:
    answer = await call(rig.app, "GET", path)
    assert answer.status == 400
    assert answer.error()["param"] == path.partition("?")[2].partition("=")[0]
    assert rig.upstream.documents.asked == []


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
async def test_a_name_that_cannot_be_is_not_looked_up(name: str, rig: Rig) -> None:
    for path in (f"/v1/documents/{name}", f"/v1/batches/{name}"):
        assert (await call(rig.app, "GET", path)).status == 404
    assert rig.upstream.documents.asked == []


# Tests of titles and metadata from senders.


async def upload(body: bytes, content_type: str = JSON) -> Incoming:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", content_type.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    with tempfile.TemporaryDirectory() as folder, SpooledUpload(UploadSpace(Path(folder), 2**26)) as spooled:
        return await Uploads(DocumentsSettings(), asyncio.to_thread).read(Request(scope, receive), spooled)


def one(**fields: Any) -> dict[str, Any]:
    return {"documents": [{"text": "x", **fields}]}


ABOUT: dict[str, tuple[dict[str, Any], str, str]] = {
    "too many keys": (one(metadata={str(n): 1 for n in range(65)}), "documents[0].metadata", "64"),
    "a long key": (one(metadata={"k" * 129: 1}), "documents[0].metadata", "128"),
    "an empty key": (one(metadata={"": 1}), "documents[0].metadata", "1 to 128"),
    "a long value": (one(metadata={"a": "v" * 4097}), "documents[0].metadata.a", "4096"),
    "much in all": (one(metadata={str(n): "v" * 1000 for n in range(30)}), "documents[0].metadata", "16384"),
    "a wide integer": (one(metadata={"a": 2**60}), "documents[0].metadata.a", "2^53"),
    "a long title": (one(title="t" * 513), "documents[0].title", "512"),
    "a title with NUL": (one(title="a\0b"), "documents[0].title", "NUL"),
    "a long id": (one(id="i" * 2049), "documents[0].id", "2048"),
}


@pytest.mark.parametrize("case", ABOUT)
async def test_what_is_said_about_a_text_is_bounded(case: str) -> None:
    body, param, says = ABOUT[case]
    with pytest.raises(InvalidRequest) as caught:
        await upload(json.dumps(body).encode())
    assert caught.value.param == param
    assert param in caught.value.message
    assert says in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (json.dumps({str(n): 1 for n in range(65)}), "64"),
        (json.dumps({"a": "v" * 4097}), "4096"),
        (json.dumps({str(n): "v" * 1000 for n in range(30)}), "16384"),
        ('{"a":' + "[" * 8000 + "]" * 8000 + "}", "deep"),
        ('{"a":[]}', "must be a text, a number"),
        ('{"a":"\\ud800"}', "surrogate"),
        ('{"\\ud800":"a"}', "surrogate"),
        ('{"a":NaN}', "NaN"),
        ('{"a":1e999}', "too large"),
        ('{"a":1,"a":2}', "twice"),
        ("[]", "an object"),
        ("", "empty"),
        ("{", "not valid JSON"),
    ],
)
async def test_what_is_said_about_files_is_bounded(metadata: str, says: str) -> None:
    headers, body = multipart([Part("a.txt", b"A text.")], metadata=metadata)
    with pytest.raises(InvalidRequest) as caught:
        await upload(body, headers["content-type"])
    assert str(caught.value.param).startswith("metadata")
    assert "metadata" in caught.value.message
    assert says in caught.value.message
    assert len(caught.value.message) < 400


async def test_what_is_within_the_bounds_is_kept() -> None:
    metadata = {"k" * 128: "v" * 4096, "n": 2**53, "f": 0.5, "b": True, "none": None, "e": "\N{SAILBOAT}"}
    incoming = await upload(json.dumps(one(title="t" * 512, metadata=metadata)).encode())
    assert incoming.contents[0].metadata == metadata
    headers, body = multipart([Part("a.txt", b"A text.")], metadata=json.dumps(metadata))
    assert (await upload(body, headers["content-type"])).contents[0].metadata == metadata


@pytest.mark.parametrize(
    ("body", "refusal_of_it"),
    [
        (b'{"documents":[{"text":"\\ud800"}]}', InvalidRequest),
        (b'{"documents":[{"text":"x","metadata":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}]}", InvalidRequest),
        (b'{"documents":[{"text":"x"}],"collection":"a","collection":"b"}', InvalidRequest),
        (b'\xef\xbb\xbf{"documents":[{"text":"x"}]}', InvalidRequest),
        (repeated(b'{"documents":[', b"0", b"]}"), TooLarge),
        (members(b'{"documents":[{"text":"x","metadata":{', b"[]", b"}}]}"), TooLarge),
        (members(b'{"documents":[{"text":"x"}],', b"0", b"}"), TooLarge),
    ],
)
async def test_an_upload_of_texts_is_read_as_strictly(body: bytes, refusal_of_it: type[ArgosyError]) -> None:
    began_s = time.process_time()
    with pytest.raises(refusal_of_it) as caught:
        await upload(body)
    assert time.process_time() - began_s < 0.6
    assert len(caught.value.message) < 400
    assert not [word for word in INTERNALS if word in caught.value.message]


# Tests of the admin API.

SCALING = "/v1/services/embedding/scaling"
CALIBRATION = "/v1/services/embedding/calibration"
STEP = (
    b'{"asked":"POST /v1/search","stopped":"x","steps":[{"replicas":%b,"rate_rps":1,"seconds":1,"answered":%b,'
    b'"refused":0,"failed":0,"mean_ms":1,"latency_ms":[],"p95_ms":null,"saturated":false}]}'
)
ADMIN: dict[str, tuple[str, str, bytes]] = {
    "deep thresholds": ("PUT", SCALING, b'{"thresholds":{"up":{"cpu":' + b"[" * 100_000 + b"]" * 100_000 + b"}}}"),
    "deeper thresholds": ("PUT", SCALING, b'{"thresholds":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001),
    "half a surrogate pair": ("PUT", SCALING, b'{"policy":"\\ud800"}'),
    "wide bounds": ("PUT", SCALING, b'{"max_instances":99999999999999999999}'),
    "an endless cooldown": ("PUT", SCALING, b'{"cooldown":1e999}'),
    "many wrong thresholds": ("PUT", SCALING, members(b'{"thresholds":{', b"[]", b"}}", 900_000)),
    "wide replicas": ("POST", CALIBRATION, STEP % (b"99999999999999999999", b"1")),
    "wide counts": ("POST", CALIBRATION, STEP % (b"1", b"18446744073709551616")),
    "wide counts of 64 bits": ("POST", CALIBRATION, STEP % (b"1", b"9999999999999999999")),
    "numbers as steps": ("POST", CALIBRATION, repeated(b'{"asked":"x","stopped":"x","steps":[', b"0", b"]}", 900_000)),
    "a long reason": ("POST", CALIBRATION, (STEP % (b"1", b"1")).replace(b'"x"', b'"%b"' % (b"x" * 900_000))),
    "a wide rate": ("POST", "/v1/plan", b'{"rps":9999999999999999999}'),
    "NaN": ("POST", "/v1/plan", b'{"rps":NaN}'),
    "a field twice": ("POST", "/v1/plan", b'{"rps":1,"rps":2}'),
    "a long service": ("POST", "/v1/plan", b'{"rps":1,"service":"%b"}' % (b"x" * 900_000)),
    "a wide order": ("POST", "/v1/services/embedding/scale", b'{"replicas":9223372036854775807}'),
    "nothing": ("POST", "/v1/plan", b""),
}


@pytest.mark.parametrize("case", ADMIN)
async def test_the_admin_api_refuses_a_wrong_body_in_the_same_way(case: str, admin: ASGIApp) -> None:
    method, path, body = ADMIN[case]
    began_s = time.process_time()
    answer = await call(admin, method, path, body=body, headers=AUTHORIZED)
    assert time.process_time() - began_s < 0.6
    assert answer.status in (400, 404), answer.body[:300]
    message = str(answer.error()["message"])
    assert len(message) < 500
    assert not [word for word in INTERNALS if word in message]


async def test_what_the_admin_api_was_sent_wrong_leaves_it_able_to_answer(admin: ASGIApp) -> None:
    for method, path, body in ADMIN.values():
        await call(admin, method, path, body=body, headers=AUTHORIZED)
    for path in ("/v1/fleet", SCALING, "/v1/events", "/v1/usage", "/v1/config", "/v1/forecast"):
        answer = await call(admin, "GET", path, headers=AUTHORIZED)
        assert answer.status == 200, path
        assert len(answer.body) < 100_000
    plan = await call(admin, "POST", "/v1/plan", json={"rps": 1}, headers=AUTHORIZED)
    assert plan.status == 200


async def test_a_bug_of_the_admin_api_is_told_in_the_same_shape(
    admin: ASGIApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Controller, "view", lambda self: 1 // 0)
    answer = await call(admin, "GET", "/v1/fleet", headers=AUTHORIZED)
    assert (answer.status, answer.error()["code"]) == (500, "internal_error")
    assert answer.error()["request_id"] == answer.headers["x-request-id"]
    assert b"zero" not in answer.body


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("since=x", "since"),
        ("since=1e309", "since"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("follow=2", "follow"),
    ],
)
async def test_a_wrong_query_of_the_admin_api_is_named(query: str, param: str, admin: ASGIApp) -> None:
    answer = await call(admin, "GET", f"/v1/events?{query}", headers=AUTHORIZED)
    message = str(answer.error()["message"])
    assert (answer.status, answer.error()["param"]) == (400, param)
    assert message.startswith(f"{param}: must be ")
    assert not [word for word in INTERNALS if word in message]


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1])
def test_the_depth_is_counted_outside_of_strings(levels: int) -> None:
    inner = json.dumps('[{"\\' * 100).encode()
    body = b'[{"a":' * (levels // 2) + b"[" * (levels % 2) + inner + b"]" * (levels % 2) + b"}]" * (levels // 2)
    if levels <= MAX_DEPTH:
        assert parse(body) == json.loads(body)
    else:
        with pytest.raises(InvalidRequest):
            parse(body)


def test_a_message_between_services_is_refused_when_it_is_too_deep() -> None:
    with pytest.raises(InvalidRequest):
        decode(b"\x91" * 100_000, list[object])
    with pytest.raises(InvalidRequest) as caught:
        decode(b'{"role":"user","content":[]}', ChatTurn, JSON)
    assert caught.value.param == "content"
    assert caught.value.message == "The body does not fit at content: Expected a string, got an array. Correct it."
