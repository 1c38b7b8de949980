from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterable

import msgspec
import numpy as np
import pytest
from starlette.types import Message

from argosy.contracts.errors import CallerGone, Overloaded, Unavailable
from argosy.contracts.request import Priority
from argosy.services.gateway.embeddings.stream import GROUP_LINES, GROUPS_AT_ONCE, MAX_LINE_BYTES
from tests.asgi import HOST, Answer, call
from tests.unit.gateway.fakes import Rig

pytestmark = pytest.mark.unit

NDJSON = {"content-type": "application/x-ndjson"}
PATH = "/v1/embeddings"


def lines(*sent: object) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in sent)


def answered(answer: Answer) -> list[dict[str, object]]:
    return [msgspec.json.decode(line, type=dict[str, object]) for line in answer.body.splitlines()]


def message(line: dict[str, object]) -> str:
    return str(msgspec.convert(line["error"], dict[str, object])["message"])


async def stream(rig: Rig, body: bytes | Iterable[bytes], query: str = "") -> Answer:
    answer = await call(rig.app, "POST", PATH + query, body=body, headers=NDJSON)
    assert answer.raised is None
    return answer


async def test_each_line_is_answered_by_one_in_order(rig: Rig) -> None:
    answer = await stream(rig, lines("a", {"input": "b"}))

    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-ndjson")
    assert "content-length" not in answer.headers
    assert answered(answer) == [{"index": 0, "embedding": [0.0, 1.0]}, {"index": 1, "embedding": [2.0, 3.0]}]
    assert rig.upstream.embedding.contexts[0].priority is Priority.BULK


async def test_lines_may_come_in_any_pieces_and_without_a_last_end(rig: Rig) -> None:
    body = lines("first", "", "né 東京").replace(b'""', b"").rstrip()
    answer = await stream(rig, [body[n : n + 1] for n in range(len(body))])

    assert [line["index"] for line in answered(answer)] == [0, 1]
    assert [text for texts in rig.upstream.embedding.asked for text in texts] == ["first", "né 東京"]


async def test_nothing_sent_is_nothing_answered(rig: Rig) -> None:
    assert (await stream(rig, b"\n\n")).body == b""


async def test_vectors_come_as_base64_where_asked(rig: Rig) -> None:
    rig.upstream.embedding.truncated = True
    (line,) = answered(await stream(rig, lines("a"), "?encoding_format=base64&model=argosy&dimensions=2"))

    assert np.frombuffer(base64.b64decode(str(line["embedding"])), "<f4").tolist() == [0.0, 1.0]
    assert line["truncated"] is True


async def test_a_bad_line_is_answered_in_its_place(rig: Rig) -> None:
    body = lines("a") + b'{"inputs": "b"}\n[1]\nnot json\n"\\ud800"\n\xff\n' + lines(" ", "x\0", "bad", "c")
    answer = answered(await stream(rig, body))

    assert [line["index"] for line in answer] == list(range(10))
    assert [n for n, line in enumerate(answer) if "error" in line] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert answer[0]["embedding"] == [0.0, 1.0]
    assert answer[9]["embedding"] == [2.0, 3.0]
    assert ["neither" in message(line) for line in answer[1:6]] == [True] * 5
    assert [message(line) for line in answer[6:9]] == [
        "The text is empty; leave it out.",
        "The text holds a NUL character; remove it.",
        "It is bad.",
    ]


async def test_a_line_without_end_ends_the_stream_with_its_reason(rig: Rig) -> None:
    pieces = [lines("a"), *[b"x" * 2**20] * (MAX_LINE_BYTES // 2**20 + 2)]
    answer = answered(await stream(rig, pieces))

    assert [line["index"] for line in answer] == [0, 1]
    assert "limit of 8388608 bytes" in message(answer[1])


async def test_a_service_that_is_busy_or_restarts_is_waited_for(rig: Rig) -> None:
    rig.upstream.embedding.errors = [Overloaded("full", retry_after_s=1e-4), Unavailable("gone", retry_after_s=1e-4)]

    assert answered(await stream(rig, lines("a")))[0]["embedding"] == [0.0, 1.0]


async def test_a_service_that_is_away_fails_the_lines_and_not_the_stream(rig: Rig) -> None:
    rig.upstream.embedding.errors = [Unavailable("The embedding service cannot be reached now.", retry_after_s=60)]
    answer = answered(await stream(rig, lines("a", "b")))

    assert [message(line) for line in answer] == ["The embedding service cannot be reached now."] * 2


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [("?model=other", 404, "model"), ("?encoding_format=int8", 400, "encoding_format"), ("?x=1", 400, "x")],
)
async def test_a_bad_query_is_refused_before_anything_is_read(rig: Rig, query: str, status: int, param: str) -> None:
    answer = await call(rig.app, "POST", PATH + query, body=lines("a"), headers=NDJSON)

    assert (answer.status, answer.error()["param"]) == (status, param)


async def test_other_dimensions_are_refused_on_each_line(rig: Rig) -> None:
    (line,) = answered(await stream(rig, lines("a"), "?dimensions=3"))

    assert "2 dimensions" in message(line)


class Caller:
    """Caller whose lines, reading and hanging up are controlled by the test."""

    def __init__(self, rig: Rig) -> None:
        self.sent = 0
        self.got: list[bytes] = []
        self.may_read = asyncio.Event()
        self.gone = asyncio.Event()
        self._rig = rig

    async def lines_without_end(self) -> AsyncIterator[Message]:
        while True:
            self.sent += GROUP_LINES
            yield {"type": "http.request", "body": lines(*["x"] * GROUP_LINES), "more_body": True}

    async def run(self) -> None:
        source = self.lines_without_end()

        async def receive() -> Message:
            await asyncio.sleep(0)
            return {"type": "http.disconnect"} if self.gone.is_set() else await anext(source)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                await self.may_read.wait()
                self.got.append(message["body"])

        headers = [(b"host", HOST.encode()), (b"content-type", b"application/x-ndjson"), (b"transfer-encoding", b"x")]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "path": PATH,
            "query_string": b"",
            "root_path": "",
            "headers": headers,
        }
        await self._rig.app(scope, receive, send)


async def idle() -> None:
    for _ in range(400):
        await asyncio.sleep(0)


async def test_a_list_without_end_is_read_no_faster_than_its_answers_are_taken(rig: Rig) -> None:
    caller = Caller(rig)
    running = asyncio.create_task(caller.run())
    await idle()
    stalled = caller.sent
    assert stalled <= GROUP_LINES * (GROUPS_AT_ONCE + 6)
    await idle()
    assert caller.sent == stalled

    caller.may_read.set()
    await idle()
    assert caller.sent > 2 * stalled

    caller.gone.set()
    with pytest.raises(CallerGone):
        await running


async def test_what_runs_for_a_caller_who_has_gone_is_given_up(rig: Rig) -> None:
    rig.upstream.embedding.release = asyncio.Event()
    caller = Caller(rig)
    caller.may_read.set()
    running = asyncio.create_task(caller.run())
    await idle()
    assert 1 <= rig.upstream.embedding.in_work <= GROUPS_AT_ONCE + 2

    caller.gone.set()
    rig.upstream.embedding.release.set()  # the reader notices the hang-up once there is room for the next line
    with pytest.raises(CallerGone):
        await running
    assert rig.upstream.embedding.in_work == 0
