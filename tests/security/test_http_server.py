"""Hostile requests: endless heads, slow bodies, two lengths, trailers that pose as headers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from argosy.config.models import Fleet
from argosy.serving.app import create_app
from argosy.serving.connections import Connections
from argosy.serving.kit import Kit
from argosy.serving.patience import Patience
from argosy.serving.protocol import MAX_HEAD_BYTES
from tests.kits import TOKEN, make_kit, served, served_in_thread
from tests.raw_http import RawConnection, ask, raw, request
from tests.waiting import until

pytestmark = pytest.mark.security
MIB = 2**20
HASTY = Patience(
    head_s=0.6, keep_alive_s=1.5, body_window_s=0.6, stream_idle_s=0.6, unread_s=0.6, linger_s=0.5, reserve_s=0.6
)
"""Timeouts short enough for a test. The tests check that a connection ends, not when."""
AUTHORIZED = f"Authorization: Bearer {TOKEN}"
LENGTH_2 = ["Content-Type: application/json", "Content-Length: 2"]
CHUNKED = ["Content-Type: application/json", "Transfer-Encoding: chunked"]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the headers and the size of the body."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] == "http.disconnect":
            return
        if not message.get("more_body"):
            break
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    body = msgspec.json.encode({"path": scope["path"], "headers": headers, "size": size})
    sent = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": sent})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served_in_thread(echo) as found:
        yield found


@pytest.fixture(scope="module")
def hasty() -> Iterator[str]:
    with served_in_thread(echo, patience=HASTY) as found:
        yield found


@contextlib.asynccontextmanager
async def service(
    *routes: Route,
    patience: Patience | None = None,
    connections: Connections | None = None,
    begun: asyncio.Event | None = None,
    **settings: int,
) -> AsyncIterator[tuple[Kit, str]]:
    """Run a service with its whole middleware; `settings` are those of the service.

    `begun` is set by the first request.
    """
    fleet = Fleet.model_validate({"services": {"store": settings}})
    kit = make_kit(fleet=fleet)
    if connections is not None:
        kit.shortage = connections.shortage
    app = create_app(kit, routes)

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        if begun is not None:
            begun.set()
        await app(scope, receive, send)

    async with served(noted, patience=patience, connections=connections) as found:
        yield kit, found


# Endless heads, chunk headers and trailers


ENDLESS_HEADS = {
    "one header line": (request()[:-2] + b"X-Long: ", b"a" * MIB),
    "one header name": (request()[:-2], b"a" * MIB),
    "many headers": (request()[:-2], b"X-Small: a\r\n" * 80_000),
    "one request line": (b"GET /", b"a" * MIB),
    "one query": (b"GET /?", b"a=b&" * (MIB // 4)),
    "line ends before the head": (b"\r\n", b"\r\n" * (MIB // 2)),
}


@pytest.mark.parametrize("name", ENDLESS_HEADS)
async def test_a_head_without_an_end_is_refused_at_64_kib(url: str, name: str) -> None:
    first, piece = ENDLESS_HEADS[name]
    async with raw(url) as connection:
        await connection.send(first)
        answer, sent = await connection.flooded(piece, 16 * MIB)
        assert (answer.status, answer.error()["code"]) == (431, "headers_too_large")
        assert answer.headers["connection"] == "close"
        assert answer.headers["x-request-id"] == answer.error()["request_id"]
        assert sent < 16 * MIB
        assert await connection.ended()


async def test_a_head_of_just_over_64_kib_is_refused_and_one_just_below_is_served(url: str) -> None:
    bare = len(request("/", ["X-Pad: "]))
    ok = await ask(url, request("/", ["X-Pad: " + "a" * (MAX_HEAD_BYTES - bare - 1)]))
    assert ok.status == 200
    over = await ask(url, request("/", ["X-Pad: " + "a" * (MAX_HEAD_BYTES - bare + 1)]))
    assert over.status == 431


async def test_an_unfinished_head_of_over_64_kib_is_refused_without_waiting_for_its_end(url: str) -> None:
    answer = await ask(url, request()[:-2] + b"X-Long: " + b"a" * (MAX_HEAD_BYTES + 10))
    assert answer.status == 431


@pytest.mark.parametrize(("count", "status"), [(150, 200), (201, 431), (10_000, 431)])
async def test_the_number_of_headers_is_bounded(url: str, count: int, status: int) -> None:
    answer = await ask(url, request("/", [f"X: {n % 10}" for n in range(count)]))
    assert answer.status == status


async def test_the_second_request_of_a_connection_is_bounded_like_the_first(url: str) -> None:
    async with raw(url) as connection:
        await connection.send(request())
        first = await connection.answer()
        await connection.send(request()[:-2] + b"X-Long: ")
        second, _ = await connection.flooded(b"a" * MIB, 16 * MIB)
        assert (first.status, second.status) == (200, 431)


async def test_a_pipelined_head_without_an_end_is_refused_after_the_answers_before_it(url: str) -> None:
    async with raw(url) as connection:
        await connection.send(request("/1") + request("/2") + request()[:-2] + b"X-Long: ")
        answers = [await connection.answer(), await connection.answer()]
        answers.append((await connection.flooded(b"a" * MIB, 16 * MIB))[0])
        assert [answer.status for answer in answers] == [200, 200, 431]
        assert await connection.ended()


async def test_pipelined_requests_are_bounded(url: str) -> None:
    async with raw(url) as connection:
        await connection.send(request() * 2000)
        statuses = []
        with contextlib.suppress(EOFError):
            while True:
                statuses.append((await connection.answer()).status)
        assert statuses[-1] == 400
        assert len(statuses) <= 20


ENDLESS_FRAMING = {
    "chunk extension": (b"1;x=", b"a" * MIB),
    "extension of each chunk": (b"", b"1;" + b"a" * 2000 + b"\r\nx\r\n"),
    "zeros of a chunk size": (b"", b"0" * MIB),
    "trailer": (b"0\r\nX-Long: ", b"a" * MIB),
    "trailers": (b"0\r\n", b"X-Small: a\r\n" * 80_000),
    "chunks of one byte": (b"", b"1\r\nx\r\n" * 100_000),
}


@pytest.mark.parametrize("name", ENDLESS_FRAMING)
async def test_a_chunked_body_of_framing_alone_is_refused(url: str, name: str) -> None:
    first, piece = ENDLESS_FRAMING[name]
    async with raw(url) as connection:
        await connection.send(request("/", CHUNKED, method="POST") + first)
        answer, sent = await connection.flooded(piece, 32 * MIB)
        assert answer.status == 431
        assert sent < 32 * MIB


async def test_a_chunked_body_of_small_lines_is_served(url: str) -> None:
    body = b'5\r\n"ab"\n\r\n' * 50_000
    answer = await ask(url, request("/", CHUNKED, method="POST"), body, b"0\r\n\r\n")
    assert answer.status == 200
    assert msgspec.json.decode(answer.body)["size"] == 250_000


async def test_others_are_answered_while_heads_without_an_end_arrive(url: str) -> None:
    """Measure a probe's wait in CPU time of this process, which runs both the server and the attackers."""

    async def attack(connection: RawConnection) -> None:
        await connection.send(request()[:-2] + b"X-Long: ")
        with contextlib.suppress(EOFError):
            await connection.flooded(b"a" * MIB, 24 * MIB)

    async with contextlib.AsyncExitStack() as stack:
        attackers = [await stack.enter_async_context(raw(url)) for _ in range(4)]
        attacking = [asyncio.create_task(attack(each)) for each in attackers]
        waits = []
        for _ in range(10):
            started_s = time.process_time()
            answer = await ask(url, request("/livez"))
            waits.append(time.process_time() - started_s)
            assert answer.status == 200
        await asyncio.gather(*attacking)
    assert max(waits) < 0.2


# Requests that two HTTP implementations would read differently


AMBIGUOUS = {
    "content-length and transfer-encoding": request("/", [*LENGTH_2, *CHUNKED[1:]], method="POST") + b"{}",
    "transfer-encoding and content-length": request("/", [*CHUNKED, LENGTH_2[1]], method="POST") + b"0\r\n\r\n",
    "two equal lengths": request("/", [*LENGTH_2, LENGTH_2[1]], method="POST") + b"{}",
    "two lengths": request("/", [*LENGTH_2, "Content-Length: 3"], method="POST") + b"{} ",
    "a list of lengths": request("/", ["Content-Length: 2, 2"], method="POST") + b"{}",
    "a signed length": request("/", ["Content-Length: +2"], method="POST") + b"{}",
    "an empty length": request("/", ["Content-Length:"], method="POST"),
    "a length of 5,000 digits": request("/", ["Content-Length: " + "0" * 5000 + "2"], method="POST") + b"{}",
    "a length beyond 64 bits": request("/", ["Content-Length: 18446744073709551616"], method="POST"),
    "a length beyond 63 bits": request("/", ["Content-Length: 18446744073709551615"], method="POST"),
    "a chunk beyond 64 bits": request("/", CHUNKED, method="POST") + b"ffffffffffffffff1\r\n",
    "an encoding we do not read": request("/", ["Transfer-Encoding: gzip, chunked"], method="POST") + b"0\r\n\r\n",
    "an encoding that is none": request("/", ["Transfer-Encoding: xchunked"], method="POST") + b"0\r\n\r\n",
    "chunked in HTTP/1.0": request("/", CHUNKED, method="POST").replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
    "a folded header": request("/", ["X-A: b", " c"]),
    "a bare line feed": request().replace(b"\r\n", b"\n"),
    "a bare line feed in a header": request("/", ["X-A: b\nX-B: c"]),
    "a bare carriage return": request("/", ["X-A: b\rX-B: c"]),
    "a NUL": request("/", ["X-A: b\0c"]),
    "a control character": request("/", ["X-A: b\x01c"]),
    "a space before the colon": request("/", ["X-A : b"]),
    "a header without a name": request("/", [": b"]),
    "no host": request("/", host=None),
    "two hosts": request("/", ["Host: 127.0.0.1"]),
    "two other hosts": request("/", ["Host: evil.example"]),
    "two content types": request("/", [*LENGTH_2, "Content-Type: text/plain"], method="POST") + b"{}",
    "two authorizations": request("/", [AUTHORIZED, "Authorization: Bearer other"]),
    "two origins": request("/", ["Origin: http://127.0.0.1", "Origin: http://evil.example"]),
    "two deadlines": request("/", ["x-argosy-deadline-ms: 1", "x-argosy-deadline-ms: 2"]),
    "an absolute target": request("http://evil.example/x"),
    "an absolute target of ours": request("http://127.0.0.1/x"),
    "a target without a slash": request("x"),
    "an authority as target": request("evil.example:80", method="CONNECT"),
    "CONNECT with a path": request("/x", method="CONNECT"),
    "an upgrade with a body": request("/", ["Connection: Upgrade", "Upgrade: h2c", *LENGTH_2], method="POST") + b"{}",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 2.0 in HTTP/1 form": request().replace(b"HTTP/1.1", b"HTTP/2.0"),
    "version 1.3": request().replace(b"HTTP/1.1", b"HTTP/1.3"),
    "a method in lower case": request(method="get"),
    "bytes in the path": request("/\xff\xfe"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_what_can_be_read_in_two_ways_is_refused_in_our_shape(url: str, name: str) -> None:
    async with raw(url) as connection:
        await connection.send(AMBIGUOUS[name])
        answer = await connection.answer()
        assert answer.status == 400
        error = answer.error()
        assert set(error) == {"message", "type", "code", "param", "request_id", "retryable"}
        assert (error["code"], error["type"]) == ("invalid_request", "invalid_request_error")
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-request-id"] == error["request_id"]
        assert answer.headers["connection"] == "close"
        assert await connection.ended()


async def test_the_callers_request_id_is_on_a_refusal_by_the_parser(url: str) -> None:
    answer = await ask(url, request("/", ["x-request-id: mine-1", "X-A: b\0c"]))
    assert (answer.status, answer.headers["x-request-id"]) == (400, "mine-1")
    answer = await ask(url, request("/", ["x-request-id: <not fit for logs>", "X-A: b\0c"]))
    assert "<" not in answer.headers["x-request-id"]


async def test_trailers_never_become_headers(url: str) -> None:
    trailers = b"host: evil.example\r\norigin: http://evil.example\r\nauthorization: Bearer x\r\n"
    async with raw(url) as connection:
        await connection.send(request("/1", CHUNKED, method="POST") + b"2\r\n{}\r\n0\r\n" + trailers + b"\r\n")
        first = await connection.answer()
        await connection.send(request("/2"))
        second = await connection.answer()
    for answer in (first, second):
        assert answer.status == 200
        assert "evil" not in answer.body.decode()
        assert "authorization" not in answer.body.decode()


async def test_a_request_that_offers_an_upgrade_is_answered_as_it_is(url: str) -> None:
    async with raw(url) as connection:
        await connection.send(request("/", ["Connection: Upgrade", "Upgrade: h2c"]) + b"GET /smuggled HTTP/1.1\r\n")
        answer = await connection.answer()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert await connection.ended()


# Slow senders and slow readers


async def test_a_head_that_does_not_end_in_time_is_answered_408(hasty: str) -> None:
    async with raw(hasty) as connection:
        await connection.send(b"GET / HTTP/1.1\r\nHost: ")
        dripping = asyncio.create_task(drip(connection, b"a", 0.1))
        answer = await connection.answer()
        dripping.cancel()
        assert (answer.status, answer.error()["code"]) == (408, "request_timeout")
        assert answer.error()["retryable"] is True
        assert await connection.ended()


async def test_a_body_that_trickles_is_answered_408(hasty: str) -> None:
    head = request("/", ["Content-Type: application/json", "Content-Length: 100000"], method="POST")
    async with raw(hasty) as connection:
        await connection.send(head)
        dripping = asyncio.create_task(drip(connection, b"a", 0.05))
        answer = await connection.answer()
        dripping.cancel()
        assert answer.status == 408


async def test_a_fast_start_buys_no_pause(hasty: str) -> None:
    head = request("/", ["Content-Type: application/json", f"Content-Length: {8 * MIB}"], method="POST")
    answer = await ask(hasty, head, b"a" * (4 * MIB))
    assert answer.status == 408


async def test_a_body_that_keeps_the_rate_may_take_longer_than_one_window(hasty: str) -> None:
    head = request("/", ["Content-Type: application/json", f"Content-Length: {64 * 2**10}"], method="POST")
    async with raw(hasty) as connection:
        await connection.send(head)
        for _ in range(16):
            await connection.send(b"a" * 4096)
            await asyncio.sleep(0.1)
        answer = await connection.answer()
        assert answer.status == 200


@pytest.mark.parametrize("first", [b"", b"\r\n", request()])
async def test_a_connection_that_asks_nothing_is_closed(hasty: str, first: bytes) -> None:
    async with raw(hasty) as connection:
        await connection.send(first)
        assert await connection.ended()


async def test_a_caller_who_does_not_read_the_answer_is_cut_off() -> None:
    ended = asyncio.Event()

    async def endless(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"a" * 65536
                    await asyncio.sleep(0)
            finally:
                ended.set()

        return StreamingResponse(pieces())

    async with service(Route("/endless", endless), patience=HASTY) as (kit, url), raw(url) as connection:
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await connection.send(request("/endless", [AUTHORIZED]))
        async with asyncio.timeout(15):
            assert await ended.wait()
        await until(lambda: kit.load.in_flight == 0)


async def test_a_caller_who_reads_slowly_but_steadily_gets_the_whole_answer() -> None:
    async def large(request: Request) -> Response:
        return Response(b"a" * (12 * MIB))

    async with service(Route("/large", large), patience=HASTY) as (_, url), raw(url) as connection:
        await connection.send(request("/large", [AUTHORIZED]))
        reader, size = connection.reader, 0
        async with asyncio.timeout(30):
            while size < 12 * MIB:
                got = await reader.read(MIB)
                assert got
                size += len(got)
                await asyncio.sleep(0.05)


async def drip(connection: RawConnection, piece: bytes, pause_s: float) -> None:
    while True:
        await connection.send(piece)
        await asyncio.sleep(pause_s)


# Slots


async def test_slow_bodies_take_no_slot_from_others() -> None:
    async def add(request: Request) -> Response:
        return Response(str(len(await request.body())))

    head = request("/add", [AUTHORIZED, "Content-Type: application/json", "Content-Length: 1000"], method="POST")
    async with (
        service(Route("/add", add, methods=["POST"]), max_in_flight=4) as (kit, url),
        contextlib.AsyncExitStack() as stack,
    ):
        slow = [await stack.enter_async_context(raw(url)) for _ in range(40)]
        for connection in slow:
            await connection.send(head + b"a")
        await until(lambda: kit.load.requests == 0 and kit.load.in_flight == 0)
        quick = await ask(url, head + b"a" * 1000)
        assert (quick.status, quick.body) == (200, b"1000")
        assert kit.load.in_flight == 0
        for connection in slow[:3]:
            await connection.send(b"a" * 999)
            answer = await connection.answer()
            assert answer.status == 200
    assert kit.load.in_flight == 0


async def test_a_body_that_becomes_whole_finds_room_or_429() -> None:
    gate, inside, begun = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(request: Request) -> Response:
        await request.body()
        inside.set()
        await gate.wait()
        return Response("done")

    head = request("/work", [AUTHORIZED, *LENGTH_2], method="POST")
    async with service(Route("/work", work, methods=["POST"]), begun=begun, max_in_flight=1) as (kit, url):
        async with raw(url) as late, raw(url) as first:
            await late.send(head + b"{")
            await begun.wait()
            await first.send(head + b"{}")
            await inside.wait()
            await late.send(b"}")
            refused = await late.answer()
            assert refused.status == 429
            assert int(refused.headers["retry-after"]) >= 1
            gate.set()
            answer = await first.answer()
            assert answer.status == 200
        await until(lambda: kit.load.in_flight == 0)


async def test_a_caller_who_hangs_up_while_sending_leaves_nothing_behind() -> None:
    async def add(request: Request) -> Response:
        return Response(str(len(await request.body())))

    head = request("/add", [AUTHORIZED, "Content-Type: application/json", "Content-Length: 1000"], method="POST")
    begun = asyncio.Event()
    async with service(Route("/add", add, methods=["POST"]), begun=begun) as (kit, url):
        async with raw(url) as connection:
            await connection.send(head + b"a")
            await begun.wait()
        await until(lambda: kit.load.requests == 1)
        assert kit.load.in_flight == 0


# Connections


async def test_beyond_the_limit_only_health_checks_are_answered_and_the_status_says_so() -> None:
    async def work(request: Request) -> Response:
        return Response("done")

    connections = Connections(8, setting="services.store.max_connections")
    async with (
        service(Route("/work", work), connections=connections) as (kit, url),
        contextlib.AsyncExitStack() as stack,
    ):
        kit.readiness.engine_loaded, kit.readiness.endpoints_version = True, "1.1"
        assert kit.status().health == "HEALTHY"
        for _ in range(8):
            await stack.enter_async_context(raw(url))
        await until(lambda: connections.count == 8)
        refused = await ask(url, request("/work", [AUTHORIZED]))
        assert (refused.status, refused.error()["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        for path in ("/livez", "/readyz", "/internal/status"):
            answer = await ask(url, request(path, [AUTHORIZED]))
            assert answer.status == 200
            assert answer.headers["connection"] == "close"
        assert '"DEGRADED"' in answer.body.decode()
        assert "all 8 connections are in use (services.store.max_connections)" in answer.body.decode()
        forged = await ask(url, request("/internal/status"))
        assert forged.status == 401


async def test_health_checks_are_answered_while_the_reserve_is_filled_with_silence() -> None:
    async with service(connections=Connections(8)) as (_, url), contextlib.AsyncExitStack() as stack:
        for _ in range(100):
            await stack.enter_async_context(raw(url))
        for _ in range(5):
            answer = await ask(url, request("/livez"))
            assert answer.status == 200


async def test_idle_connections_make_room_for_new_ones() -> None:
    connections = Connections(8, evictable_after_s=0.0)
    async with service(connections=connections) as (_, url), contextlib.AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(raw(url)) for _ in range(8)]
        for connection in idle:
            await connection.send(request("/livez"))
            await connection.answer()
        answer = await ask(url, request("/metrics"))
        assert answer.status == 200
