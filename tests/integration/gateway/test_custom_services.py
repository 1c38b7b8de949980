"""Requests to a custom service through a gateway that follows a controller, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from starlette.types import Receive, Scope, Send

from argosy.config.models import Fleet
from argosy.config.protection import ProtectionSettings
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.services.gateway.app import GatewayService
from tests.kits import make_kit, served
from tests.waiting import until

pytestmark = pytest.mark.integration

PATTERN = "/services/{name}/{path:path}"
PIECES = [b"a" * 70_000, b"b" * 70_000]


class Mine:
    """The custom service. It records the requests that reach it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes, bytes, dict[bytes, bytes]]] = []
        self.goes_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/livez":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
            return
        self.asked.append((scope["method"], scope["raw_path"], scope["query_string"], dict(scope["headers"])))
        if scope["path"] == "/slow":
            await self.goes_on.wait()
        long = scope["path"] == "/long"
        headers = [
            (b"set-cookie", b"session=first"),
            (b"set-cookie", b"theme=dark"),
            (b"x-name", "Zürich".encode()),
            (b"x-argosy-mine", b"1"),
            (b"x-request-id", b"of-the-service"),
            *([] if long else [(b"content-length", b"4")]),
        ]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        for piece in PIECES if long else []:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"" if long or scope["method"] == "HEAD" else b"said"})


class Controller:
    """Fake controller that publishes one endpoint set and nothing after it."""

    def __init__(self, mine_url: str) -> None:
        self._said = msgspec.json.encode(EndpointSet("1.1", {"mine": [Endpoint("mine-1", mine_url)]}))
        self.over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"]:
            await self.over.wait()
        body, status = (b"", 204) if scope["query_string"] else (self._said, 200)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


class Through:
    """The gateway's address and metrics, and the service behind it."""

    def __init__(self, mine: Mine, service: GatewayService, url: str) -> None:
        self.mine = mine
        self.service = service
        self.url = f"{url}/services/mine"


@pytest.fixture
async def through() -> AsyncIterator[Through]:
    async with contextlib.AsyncExitStack() as stack:
        mine = Mine()
        # The host is a name because aiohttp keeps no cookies for IP addresses.
        mine_url = (await stack.enter_async_context(served(mine))).replace("127.0.0.1", "localhost")
        fleet = Fleet.model_validate({"services": {"mine": {"external": [mine_url], "health_path": "/livez"}}})
        controller = Controller(mine_url)
        controller_url = await stack.enter_async_context(served(controller))
        stack.callback(controller.over.set)
        service = GatewayService(make_kit("gateway", fleet, controller_url=controller_url))
        await service.start()
        stack.push_async_callback(service.stop)
        yield Through(mine, service, await stack.enter_async_context(served(service.app)))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


async def test_requests_and_answers_pass_as_they_are_but_for_what_is_between_two_hops(
    through: Through, session: aiohttp.ClientSession
) -> None:
    sent = {"authorization": "Bearer mine", "x-argosy-strategy": "round_robin", "x-asked": "1"}
    async with session.get(f"{through.url}/a%2Fb?q=%20x&q=2", headers=sent) as answer:
        assert (answer.status, await answer.read()) == (201, b"said")
        raw = [(name, value) for name, value in answer.raw_headers if name in (b"set-cookie", b"x-name")]
    assert raw == [(b"set-cookie", b"session=first"), (b"set-cookie", b"theme=dark"), (b"x-name", "Zürich".encode())]
    assert "x-argosy-mine" not in answer.headers
    assert answer.headers.getall("x-request-id") != ["of-the-service"]
    [(method, path, query, headers)] = through.mine.asked
    assert (method, path, query) == ("GET", b"/a%2Fb", b"q=%20x&q=2")
    assert (headers[b"authorization"], headers[b"x-asked"]) == (b"Bearer mine", b"1")
    assert b"x-argosy-strategy" not in headers
    assert int(headers[b"x-argosy-deadline-ms"]) > 0


async def test_what_one_caller_is_given_to_keep_does_not_go_along_with_the_next_request(
    through: Through, session: aiohttp.ClientSession
) -> None:
    for _ in range(2):
        async with session.get(f"{through.url}/a") as answer:
            assert answer.status == 201
    assert [b"cookie" in headers for *_, headers in through.mine.asked] == [False, False]


async def test_a_long_answer_is_streamed_whole_and_a_head_has_the_length_without_the_body(
    through: Through, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"{through.url}/long") as answer:
        assert await answer.read() == b"".join(PIECES)
    async with session.head(f"{through.url}/a") as head:
        assert (head.status, head.headers["content-length"], await head.read()) == (201, "4", b"")


async def test_requests_count_under_the_routes_pattern_and_an_unknown_method_is_refused(
    through: Through, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"{through.url}/a") as answer:
        assert answer.status == 201
    async with session.request("PURGE", f"{through.url}/a") as refused:
        assert refused.status == 405
    async with session.get(through.url.replace("mine", "nobody") + "/a") as missing:
        assert missing.status == 404
    async with session.get(through.url.replace("/services/mine", "/metrics")) as metrics:
        counted = await metrics.text()
    assert f'argosy_request_duration_seconds_count{{route="{PATTERN}",service="gateway",status="201"}} 1.0' in counted
    assert len(through.mine.asked) == 1


async def test_a_service_that_is_full_leaves_the_gateway_room_for_others(through: Through) -> None:
    most = ProtectionSettings().max_concurrent_calls
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def status(path: str) -> int:
            async with session.get(f"{through.url}{path}") as answer:
                return answer.status

        full = [asyncio.create_task(status("/slow")) for _ in range(most + 20)]
        await until(lambda: sum(task.done() for task in full) >= 20)
        # Excess requests are refused for that service only; requests for other services are served.
        assert {task.result() for task in full if task.done()} == {429}
        async with session.get(through.url.replace("mine", "nobody")) as other:
            assert other.status == 404
        through.mine.goes_on.set()
        assert sorted(await asyncio.gather(*full)) == [201] * most + [429] * 20
