"""Long polls and event streams: however many clients wait, work goes on, and a drain does not wait for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from argosy.config.models import Fleet
from argosy.contracts.documents import BatchView
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.contracts.request import Deadline
from argosy.control.api.app import create_admin_app
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.fake import FakePlatform
from argosy.services.documents.catalog.long_poll import changed, pause_s
from argosy.services.gateway.app import GatewayService
from argosy.serving.app import create_app
from argosy.serving.kit import Kit
from argosy.serving.middleware import becomes_waiter
from argosy.serving.waiting import Waiters
from tests.kits import FLEET_HEADERS, TOKEN, make_kit, served
from tests.raw_http import ask, raw, request
from tests.waiting import until

pytestmark = pytest.mark.security
AUTHORIZED = f"Authorization: Bearer {TOKEN}"
WAITING = b'{"batch_id": "b1", "progress": 0.5, "counts": {}, "done": false}'


class Documents:
    """Fake documents service with a batch that never changes."""

    def __init__(self, fleet: Fleet, controller: str) -> None:
        self.kit = make_kit("documents", fleet, controller_url=controller)
        self.app = create_app(
            self.kit,
            [Route("/batches/{id}", self._batch), Route("/documents", self._add, methods=["POST"])],
        )

    async def _batch(self, request: Request) -> Response:
        if "wait_s" in request.query_params:
            becomes_waiter(request.scope)
            await self.kit.waiters.pause(float(request.query_params["wait_s"]))
        return Response(WAITING, media_type="application/json")

    async def _add(self, request: Request) -> Response:
        await request.body()
        return Response(b"{}", status_code=202, media_type="application/json")


@contextlib.asynccontextmanager
async def fleet_of(settings: dict[str, object]) -> AsyncIterator[tuple[Kit, Documents, str]]:
    """Run a gateway in front of the fake documents service."""
    fleet = Fleet.model_validate({"services": settings})
    known = EndpointSet("1.1", {})

    async def endpoints(request: Request) -> Response:
        if request.query_params.get("watch"):
            await asyncio.sleep(0.2)
            return Response(status_code=204)
        return Response(msgspec.json.encode(known), media_type="application/json")

    async with contextlib.AsyncExitStack() as stack:
        controller = await stack.enter_async_context(served(Starlette(routes=[Route("/v1/endpoints", endpoints)])))
        documents = Documents(fleet, controller)
        known.services["documents"] = [Endpoint("documents-1", await stack.enter_async_context(served(documents.app)))]
        kit = make_kit("gateway", fleet, controller_url=controller)
        gateway = GatewayService(kit)
        url = await stack.enter_async_context(served(gateway.app))
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        yield kit, documents, url


async def test_300_waiters_of_each_kind_leave_an_upload_its_202() -> None:
    """Use more waiters than the calls that one caller may have in flight to the documents service."""
    async with (
        fleet_of({"gateway": {"max_in_flight": 16}}) as (kit, documents, url),
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(300):
            poll = await stack.enter_async_context(raw(url))
            await poll.send(request("/v1/batches/b1?wait_s=30"))
        for _ in range(50):
            stream = await stack.enter_async_context(raw(url))
            await stream.send(request("/v1/batches/b1?follow=1"))
        await until(lambda: (kit.waiters.count, documents.kit.waiters.count) == (350, 350))
        assert (kit.load.in_flight, documents.kit.load.in_flight) == (0, 0)
        body = b'{"documents": [{"text": "a"}]}'
        head = request(
            "/v1/documents", ["Content-Type: application/json", f"Content-Length: {len(body)}"], method="POST"
        )
        accepted = await ask(url, head + body)
        assert accepted.status == 202
        assert "named_metrics.rif=0," in accepted.headers["endpoint-load-metrics"]
        assert kit.status().load.in_flight == 0
        documents.kit.waiters.end()
        kit.waiters.end()
        await until(lambda: kit.waiters.count == 0)
        assert (await poll.answer()).body == WAITING
        streamed = (await stream.answer()).body
        assert streamed.startswith(b"event: batch\n")
        assert b"event: error\n" in streamed
        assert b"Follow the batch again" in streamed


async def test_uploads_that_trickle_hold_no_call_to_the_documents_service() -> None:
    """Use more uploads than the calls that one caller may have in flight to the documents service."""
    settings: dict[str, object] = {"documents": {"protection": {"max_concurrent_calls": 4}, "max_in_flight": 4}}
    async with fleet_of(settings) as (kit, documents, url), contextlib.AsyncExitStack() as stack:
        length = 1_000_000
        head = request("/v1/documents", ["Content-Type: application/json", f"Content-Length: {length}"], method="POST")
        slow = [await stack.enter_async_context(raw(url)) for _ in range(20)]
        for connection in slow:
            await connection.send(head, b"a" * 300_000)
        await until(lambda: kit.held.count >= 20 * 300_000)
        await until(lambda: kit.load.in_flight == 0)
        assert (documents.kit.load.in_flight, documents.kit.held.count) == (0, 0)
        assert (await ask(url, head, b"a" * length)).status == 202
        await slow[0].send(b"a" * 700_000)
        assert (await slow[0].answer()).status == 202
        for connection in slow[1:]:
            connection.writer.close()
        await until(lambda: kit.held.count == 0 and documents.kit.held.count == 0)


async def test_the_bytes_of_all_bodies_together_are_bounded() -> None:
    async with (
        fleet_of({"gateway": {"max_receiving_bytes": 2**20}}) as (kit, _, url),
        contextlib.AsyncExitStack() as stack,
    ):
        head = request("/v1/documents", ["Content-Type: application/json", "Content-Length: 800000"], method="POST")
        first = await stack.enter_async_context(raw(url))
        await first.send(head, b"a" * 700_000)
        await until(lambda: kit.held.count == 700_000)
        refused = await ask(url, head, b"a" * 800_000)
        assert (refused.status, refused.error()["code"]) == (429, "overloaded")
        assert "services.gateway.max_receiving_bytes" in str(refused.error()["message"])
        await first.send(b"a" * 100_000)
        assert (await first.answer()).status == 202
        await until(lambda: kit.held.count == 0)


async def test_waiters_past_the_limit_are_answered_429_and_call_for_no_replica() -> None:
    async with fleet_of({"gateway": {"max_waiting": 2}}) as (kit, _, url), contextlib.AsyncExitStack() as stack:
        waiters = [await stack.enter_async_context(raw(url)) for _ in range(2)]
        for waiter in waiters:
            await waiter.send(request("/v1/batches/b1?wait_s=30"))
        await until(lambda: kit.waiters.count == 2)
        for target in ("/v1/batches/b1?wait_s=30", "/v1/batches/b1?follow=1"):
            refused = await ask(url, request(target))
            assert (refused.status, refused.error()["code"]) == (429, "overloaded")
            assert "services.gateway.max_waiting" in str(refused.error()["message"])
            assert int(refused.headers["retry-after"]) >= 1
        assert (kit.load.rejected, kit.load.overloaded) == (0, 0)
        assert (await ask(url, request("/v1/batches/b1"))).status == 200
        metrics = (await ask(url, request("/metrics"))).body.decode()
        assert 'argosy_requests_waiting{service="gateway"} 2.0' in metrics
        waiters[0].writer.close()
        await until(lambda: kit.waiters.count == 1)


async def test_a_wait_says_nothing_of_the_services_latency() -> None:
    async with fleet_of({}) as (kit, documents, url):
        await ask(url, request("/v1/batches/b1?wait_s=1"))
        assert (kit.load.requests, kit.load.latency_ms) == (1, 0.0)
        assert (documents.kit.load.requests, documents.kit.load.latency_ms) == (1, 0.0)


async def test_a_batch_is_looked_at_less_often_the_more_wait_and_not_at_all_once_the_process_ends() -> None:
    assert pause_s(1) == pause_s(50) == 0.2
    assert pause_s(500) == 2.0
    waiters = Waiters(4, "documents service")
    looks = 0

    async def look() -> BatchView:
        nonlocal looks
        looks += 1
        return BatchView("b1", 2, {}, 0.5, False, None, [])

    waiting = asyncio.create_task(changed(look, Deadline.after(60), waiters))
    await until(lambda: looks == 1)
    waiters.end()
    async with asyncio.timeout(5):
        assert not (await waiting).done


@contextlib.asynccontextmanager
async def admin(folder: Path, most: int) -> AsyncIterator[tuple[Waiters, Publisher, str]]:
    history, publisher, waiters = History(folder), Publisher(1), Waiters(most, "admin API")
    publisher.publish({"store": []})
    controller = Controller(
        Fleet(), FakePlatform(), Prober(TOKEN, 1.0), publisher, Feed(history), history, public_port=0
    )
    try:
        async with served(create_admin_app(controller, TOKEN, waiters)) as url:
            yield waiters, publisher, url
    finally:
        history.close()


@pytest.mark.parametrize("target", ["/v1/endpoints?watch=1.1", "/v1/events?follow=1"])
async def test_waiters_at_the_admin_api_are_bounded_and_end_with_it(tmp_path: Path, target: str) -> None:
    async with admin(tmp_path, 1) as (waiters, _, url), raw(url) as waiter:
        await waiter.send(request(target, [AUTHORIZED]))
        await until(lambda: waiters.count == 1)
        refused = await ask(url, request(target, [AUTHORIZED]))
        assert (refused.status, refused.error()["code"]) == (429, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await ask(url, request("/v1/endpoints", [AUTHORIZED]))).status == 200
        waiters.end()
        assert (await waiter.answer()).status in (200, 204)
        await until(lambda: waiters.count == 0)


async def test_a_follower_who_goes_away_is_counted_no_more(tmp_path: Path) -> None:
    async with admin(tmp_path, 1) as (waiters, _, url):
        async with raw(url) as waiter:
            await waiter.send(request("/v1/events?follow=1", [AUTHORIZED]))
            await until(lambda: waiters.count == 1)
        await until(lambda: waiters.count == 0)
        assert waiters.count == 0


async def test_the_admin_api_bounds_a_body_that_comes_without_a_length(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    async with admin(tmp_path, 1) as (_, _, url), aiohttp.ClientSession() as session:
        headers = {**FLEET_HEADERS, "content-type": "application/json"}
        async with session.put(f"{url}/v1/services/store/scaling", data=pieces(), headers=headers) as answer:
            assert answer.status == 413
