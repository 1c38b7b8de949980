"""Proxying to custom services: only the named service is reached, with one request at a time per connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from tests.kits import TOKEN
from tests.security.wire import OK, Asked, Gateway, RawService, gateway_to, listening, read_answer

pytestmark = [pytest.mark.security, pytest.mark.asyncio(loop_scope="module")]

SMUGGLED = b"GET /admin HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
ANSWER_OF_ANOTHER = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nanother"
JSON = "content-type: application/json"


@dataclass(frozen=True, slots=True)
class Foreign:
    """A server that does not belong to the fleet."""

    server: RawService
    address: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def together() -> AsyncIterator[tuple[Gateway, RawService, Foreign]]:
    mine, foreign = RawService(), RawService()
    async with listening(foreign) as there, listening(mine) as address, gateway_to({"mine": address}) as gateway:
        yield gateway, mine, Foreign(foreign, there)


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(together: tuple[Gateway, RawService, Foreign]) -> AsyncIterator[Gateway]:
    gateway, mine, foreign = together
    mine.begin()
    foreign.server.begin()
    await gateway.without_connections()
    yield gateway
    async with asyncio.timeout(20):
        while gateway.in_flight:
            await asyncio.sleep(0)


@pytest.fixture
def mine(together: tuple[Gateway, RawService, Foreign]) -> RawService:
    return together[1]


@pytest.fixture
def foreign(together: tuple[Gateway, RawService, Foreign]) -> Foreign:
    return together[2]


# Tests of the server reached and of the path.


@pytest.mark.parametrize(
    "target",
    [
        "/services/mine%2f@{foreign}/x",
        "/services/mine%2F@{foreign}",
        "/services/mine%2f%2f{foreign}/x",
        "/services/mine%2f.x",
        "/services/mine%2F%40{foreign}/x",
        "/services/mine%5c@{foreign}/x",
        "/services/mine%3f@{foreign}/x",
        "/services/mine%23@{foreign}/x",
        "/services/mine%2f:80@{foreign}/x",
        "/services/mine%2f%0d%0ax:y/x",
        "/services/mine%00/x",
        "/services/mine@{foreign}/x",
        "/services/mine:@{foreign}/x",
        "/services/mine;a/x",
        "/services/mi%6ee/x",
        "/services/mine%2fx",
        "/services%2fmine%2f@{foreign}/x",
        "/%73ervices/mine/x",
        "/services/.%2fmine/x",
        "/services//mine/x",
        "//services/mine/x",
        "/services/mine%2f@{foreign}/x?/services/mine/y",
    ],
)
@pytest.mark.parametrize("navigation", ["", "sec-fetch-site: cross-site\nsec-fetch-mode: navigate"])
async def test_a_path_names_a_service_exactly_and_never_a_host(
    gateway: Gateway, mine: RawService, foreign: Foreign, target: str, navigation: str
) -> None:
    answer = await gateway.ask(target.format(foreign=foreign.address), headers=navigation)
    assert answer.status in (400, 404)
    assert foreign.server.asked == mine.asked == []


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("/services/mine/", "/"),
        ("/services/mine/a%2Fb", "/a%2Fb"),
        ("/services/mine/a%0Ab", "/a%0Ab"),
        ("/services/mine/a/%E2%82%AC%20b", "/a/%E2%82%AC%20b"),
        ("/services/mine/@{foreign}/x", "/@{foreign}/x"),
        ("/services/mine/:80@{foreign}/x", "/:80@{foreign}/x"),
        ("/services/mine//{foreign}/x", "//{foreign}/x"),
        ("/services/mine/http://{foreign}/x", "/http://{foreign}/x"),
        ("/services/mine/a..b/.well-known/...", "/a..b/.well-known/..."),
        ("/services/mine/a;b=c?q=%20x&q=@{foreign}", "/a;b=c?q=%20x&q=@{foreign}"),
        ("/services/mine/a?", "/a"),
        ("/services/mine/a?/../%2e%2e/\\?b", "/a?/../%2e%2e/\\?b"),
        ("/services/mine/a#@{foreign}", "/a"),
    ],
)
async def test_whatever_stands_behind_the_name_is_a_path_of_the_service_and_arrives_as_it_was_sent(
    gateway: Gateway, mine: RawService, foreign: Foreign, sent: str, arrives: str
) -> None:
    answer = await gateway.ask(sent.format(foreign=foreign.address))
    assert (answer.status, answer.body) == (200, b"ok")
    assert [asked.target for asked in mine.asked] == [arrives.format(foreign=foreign.address)]
    assert foreign.server.asked == []


async def test_a_target_that_names_a_host_is_refused(gateway: Gateway, mine: RawService, foreign: Foreign) -> None:
    answer = await gateway.ask(f"http://{foreign.address}/services/mine/a")
    assert answer.status == 400
    assert mine.asked == foreign.server.asked == []


@pytest.mark.parametrize(
    "path", ["..", "a/../b", "%2e%2e/x", ".%2E/x", "./x", "a/%2e", "..%2fx", "a%2f..%2fb", "..%5cx", "a\\b", "a\\..\\b"]
)
async def test_a_path_that_could_lead_to_another_one_is_refused(gateway: Gateway, mine: RawService, path: str) -> None:
    answer = await gateway.ask(f"/services/mine/{path}")
    assert answer.status == 400
    assert b"path" in answer.body
    assert mine.asked == []


async def test_a_redirect_is_passed_on_and_not_followed(gateway: Gateway, mine: RawService, foreign: Foreign) -> None:
    moved = f"HTTP/1.1 302 Found\r\nlocation: http://{foreign.address}/x\r\ncontent-length: 0\r\n\r\n"
    mine.begin(lambda asked: moved.encode())
    answer = await gateway.ask("/services/mine/a")
    assert (answer.status, dict(answer.headers)["location"]) == (302, f"http://{foreign.address}/x")
    assert foreign.server.asked == []


# Tests of one request at a time on a connection to the service.


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "POST"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_reaches_the_service_as_a_body_and_never_as_another_request(
    gateway: Gateway, mine: RawService, method: str, framing: str
) -> None:
    sent, headers = SMUGGLED, JSON
    if framing == "chunked":
        sent, headers = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED), f"{headers}\ntransfer-encoding: chunked"
    assert (await gateway.ask("/services/mine/a", method, headers, sent)).status == 200
    assert (await gateway.ask("/services/mine/b")).body == b"ok"
    assert [(asked.line.split(" ")[:2], asked.body) for asked in mine.asked] == [
        ([method, "/a"], SMUGGLED),
        (["GET", "/b"], b""),
    ]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_next_request_is_whole_when_a_service_answers_before_it_has_read_a_body(
    gateway: Gateway, mine: RawService, method: str
) -> None:
    mine.begin(early=lambda head: OK if head.target == "/a" else b"")
    async with gateway.connected() as (reader, writer):
        writer.write(gateway.head("/services/mine/a", method, f"{JSON}\ncontent-length: 100") + b"x" * 10)
        assert (await read_answer(reader)).body == b"ok"
        assert (await gateway.ask("/services/mine/b")).body == b"ok"
    [last] = mine.asked
    assert (last.connection, last.target, last.body) == (1, "/b", b"")


async def test_a_caller_that_hangs_up_within_its_body_leaves_no_half_request_behind(
    gateway: Gateway, mine: RawService
) -> None:
    failed = gateway.failed
    async with gateway.connected() as (_, writer):
        writer.write(gateway.head("/services/mine/a", "POST", f"{JSON}\ncontent-length: 1000") + b"x" * 10)
        await mine.begun.wait()
    async with asyncio.timeout(20):
        await mine.ended.wait()
    assert (await gateway.ask("/services/mine/b")).body == b"ok"
    assert mine.cut == [0]
    assert [(asked.connection, asked.target) for asked in mine.asked] == [(1, "/b")]
    assert gateway.failed == failed, "the caller is at fault, not the replica"


async def test_a_caller_that_stalls_within_its_body_does_not_count_against_the_replica(
    gateway: Gateway, mine: RawService
) -> None:
    failed = gateway.failed
    async with gateway.connected() as (reader, writer):
        head = gateway.head("/services/mine/a", "POST", f"{JSON}\ncontent-length: 1000", deadline_ms=200)
        writer.write(head + b"x" * 10)
        assert (await read_answer(reader)).status == 504
    assert (await gateway.ask("/services/mine/b")).body == b"ok"
    assert [(asked.connection, asked.target) for asked in mine.asked] == [(1, "/b")]
    assert gateway.failed == failed


@pytest.mark.parametrize(
    "headers",
    [
        "content-length: 10\ncontent-length: 4",
        "content-length: 4\ncontent-length: 4",
        "content-length: 4, 4",
        "content-length: +4",
        "content-length: -1",
        "content-length: 99999999999999999999999",
        "content-length: 4\ntransfer-encoding: chunked",
        "transfer-encoding: gzip",
        "transfer-encoding: chunked, identity",
        "transfer-encoding:\x0bchunked",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_length_that_can_be_read_in_two_ways_is_refused(
    gateway: Gateway, mine: RawService, headers: str, method: str
) -> None:
    answer = await gateway.ask("/services/mine/a", method, f"{JSON}\n{headers}", b"4\r\nabcd")
    assert answer.status in (400, 413)
    assert mine.asked == []


async def test_a_body_is_passed_on_whole_while_the_answer_already_comes(gateway: Gateway, mine: RawService) -> None:
    mine.begin(early=lambda head: OK[:-2], answer=lambda asked: b"ok")
    mine.reads.clear()
    sent = bytes(range(256)) * 40_000
    async with gateway.connected() as (reader, writer):
        writer.write(gateway.head("/services/mine/a", "POST", f"{JSON}\ncontent-length: {len(sent)}") + sent)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        await stuck(writer)
        mine.reads.set()
        assert await reader.readexactly(2) == b"ok"
    assert [asked.body == sent for asked in mine.asked] == [True]


async def stuck(writer: asyncio.StreamWriter) -> None:
    """Wait until all buffers on the way are full, so that the body waits inside the gateway."""
    left, looks = -1, 0
    while looks < 10:
        looks = looks + 1 if writer.transport.get_write_buffer_size() == left else 0
        left = writer.transport.get_write_buffer_size()
        await asyncio.sleep(0.01)


async def test_a_caller_that_hangs_up_within_the_answer_ends_the_work_for_it(
    gateway: Gateway, mine: RawService
) -> None:
    mine.begin(lambda asked: b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nok")
    async with gateway.connected() as (reader, writer):
        writer.write(gateway.head("/services/mine/a"))
        await reader.readuntil(b"ok")
    async with asyncio.timeout(4):  # shorter than the deadline of the request
        await mine.ended.wait()
    mine.begin()
    assert (await gateway.ask("/services/mine/b")).body == b"ok"


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", b"200 OK"), ("GET", b"204 No Content"), ("GET", b"304 Not Modified")]
)
async def test_a_body_that_an_answer_must_not_have_is_not_the_next_callers_answer(
    gateway: Gateway, mine: RawService, method: str, status: bytes
) -> None:
    def answer(asked: Asked) -> bytes:
        if asked.target != "/a":
            # The rest of the first answer arrives late, after the connection would have been given to the next caller.
            return ANSWER_OF_ANOTHER + OK if asked.connection == 0 else OK
        return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n" % (status, len(ANSWER_OF_ANOTHER))

    mine.begin(answer)
    first = await gateway.ask("/services/mine/a", method)
    assert (first.status, first.body) == (int(status[:3]), b"")
    assert (await gateway.ask("/services/mine/b")).body == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-bad: a\x01b\r\n\r\nok",
        b"no HTTP\r\n\r\n",
    ],
)
async def test_an_answer_that_cannot_be_passed_on_is_an_error_of_the_gateways(
    gateway: Gateway, mine: RawService, answer: bytes
) -> None:
    mine.begin(lambda asked: answer if asked.target == "/a" else OK)
    refused = await gateway.ask("/services/mine/a", "POST", JSON)
    assert refused.status in (502, 503)
    assert b'"error"' in refused.body
    assert (await gateway.ask("/services/mine/b")).body == b"ok"


async def test_a_body_over_the_limit_is_told_to_be_so(
    gateway: Gateway, mine: RawService, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit, failed = gateway.service._kit, gateway.failed
    monkeypatch.setattr(kit, "defences", replace(kit.defences, max_body_bytes=100))
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (200, b"x" * 200)
    answer = await gateway.ask("/services/mine/a", "POST", f"{JSON}\ntransfer-encoding: chunked", sent)
    assert (answer.status, b"too_large" in answer.body) == (413, True)
    assert mine.asked == []
    assert gateway.failed == failed


# Tests of headers.


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_service_that_sends_no_100_is_given_the_body_all_the_same(
    gateway: Gateway, mine: RawService, method: str
) -> None:
    async with gateway.connected() as (reader, writer):
        writer.write(gateway.head("/services/mine/a", method, f"{JSON}\nexpect: 100-continue\ncontent-length: 2"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n", "the gateway says so itself"
        writer.write(b"{}")
        assert (await read_answer(reader)).status == 200
    assert mine.asked[0].body == b"{}"
    assert "expect" not in mine.asked[0].names


async def test_what_belongs_to_one_connection_is_not_passed_on_to_the_next(gateway: Gateway, mine: RawService) -> None:
    answered = (
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive, X-Inner\r\nx-inner: 1\r\nkeep-alive: max=9\r\n"
        "proxy-authenticate: Basic\r\nproxy-connection: keep-alive\r\ntrailer: x-t\r\nupgrade: h2c\r\nx-kept: 1\r\n"
        "set-cookie: a=1\r\nset-cookie: b=2\r\n\r\nok"
    )
    mine.begin(lambda asked: answered.encode())
    answer = await gateway.ask(
        "/services/mine/a",
        headers="connection: keep-alive, X-Hop , te\nconnection: x-other\nx-hop: 1\nx-other: 1\nx-kept: 1\n"
        "te: trailers\nproxy-authorization: Basic eDp5\nproxy-connection: keep-alive\nkeep-alive: max=9\n"
        "upgrade: h2c\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\ntrailer: x-t\nexpect: x\ncookie: a=1\n"
        "authorization: Bearer mine",
    )
    [asked] = mine.asked
    dropped = {"connection", "x-hop", "x-other", "te", "proxy-authorization", "proxy-connection", "keep-alive"}
    dropped |= {"upgrade", "http2-settings", "trailer", "expect", "content-length", "transfer-encoding"}
    assert asked.names & dropped == set()
    assert {"x-kept", "cookie", "authorization"} <= asked.names
    gone = {"connection", "x-inner", "keep-alive", "proxy-authenticate", "proxy-connection", "trailer", "upgrade"}
    assert answer.names & gone == set()
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert "x-kept" in answer.names


async def test_a_header_that_the_gateway_sets_itself_cannot_be_taken_away_by_the_caller(
    gateway: Gateway, mine: RawService
) -> None:
    headers = "connection: host, content-length, x-request-id, x-argosy-deadline-ms\ncontent-type: application/json"
    assert (await gateway.ask("/services/mine/a", "POST", headers, b"{}")).status == 200
    assert mine.asked[0].body == b"{}"
    assert {"host", "x-request-id", "x-argosy-deadline-ms"} <= mine.asked[0].names
    assert len(mine.asked[0].values("host")) == 1


async def test_the_fleets_token_is_not_shown_to_a_service_of_the_users_own(gateway: Gateway, mine: RawService) -> None:
    assert (await gateway.ask("/services/mine/a", headers=f"authorization: Bearer {TOKEN}")).status == 200
    assert "authorization" not in mine.asked[0].names


async def test_a_service_sets_no_rule_for_the_gateways_whole_origin(gateway: Gateway, mine: RawService) -> None:
    ruled = (
        'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nalt-svc: h3="evil:443"\r\nclear-site-data: "*"\r\n'
        "service-worker-allowed: /\r\nstrict-transport-security: max-age=9\r\nnel: {}\r\nreport-to: {}\r\n"
        "content-security-policy: default-src 'none'\r\naccess-control-allow-origin: *\r\n\r\nok"
    )
    mine.begin(lambda asked: ruled.encode())
    answer = await gateway.ask("/services/mine/a")
    rules = {"alt-svc", "clear-site-data", "service-worker-allowed", "strict-transport-security", "nel", "report-to"}
    assert answer.names & rules == set()
    assert {"content-security-policy", "access-control-allow-origin"} <= answer.names, "these are the answer's own"


async def test_an_upgrade_is_not_passed_on(gateway: Gateway, mine: RawService) -> None:
    upgrade = (
        "connection: upgrade\nupgrade: websocket\nsec-websocket-version: 13\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA"
    )
    answer = await gateway.ask("/services/mine/a", headers=upgrade)
    assert answer.status == 200
    assert mine.asked[0].names & {"connection", "upgrade"} == set()
