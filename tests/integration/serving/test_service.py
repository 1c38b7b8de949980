"""Behaviour that all services share for every request, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from argosy.config.models import Fleet
from argosy.contracts.codec import JSON, MSGPACK, encode
from argosy.contracts.errors import Conflict
from argosy.contracts.fleet import ReplicaStatus
from argosy.contracts.request import RequestContext
from argosy.serving.app import create_app, typed, typed_stream
from argosy.serving.kit import Kit
from tests.kits import FLEET_HEADERS, make_kit, served

pytestmark = pytest.mark.integration


class Ask(msgspec.Struct):
    text: str


class Told(msgspec.Struct):
    text: str
    deadline_s: float
    priority: str


class Rooms:
    """A service with one route of each kind; `gate` holds back requests that say "wait"."""

    def __init__(self, fleet: Fleet | None = None) -> None:
        self.kit: Kit = make_kit(fleet=fleet)
        self.kit.readiness.engine_loaded = True
        self.gate = asyncio.Event()
        self.inside = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.app = create_app(self.kit, [typed("/say", Ask, self.say), typed_stream("/stream", Ask, self.stream)])

    async def say(self, ask: Ask, context: RequestContext) -> Told:
        if ask.text == "conflict":
            raise Conflict("taken", param="text")
        if ask.text == "bug":
            raise ValueError("a path: /secret")
        if ask.text == "wait":
            self.inside.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return Told(ask.text, context.deadline.remaining_s(), context.priority.value)

    async def stream(self, ask: Ask, context: RequestContext) -> AsyncIterator[bytes]:
        async def lines() -> AsyncIterator[bytes]:
            yield b"one\n"
            if ask.text == "break":
                raise RuntimeError("half way")
            yield b"two\n"

        return lines()


@pytest.fixture
async def rooms() -> AsyncIterator[tuple[Rooms, str]]:
    service = Rooms()
    async with served(service.app) as url:
        yield service, url


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def say(session: aiohttp.ClientSession, url: str, text: str, **headers: str) -> tuple[int, dict[str, object]]:
    sent = {**FLEET_HEADERS, "content-type": JSON, "accept": JSON, **headers}
    async with session.post(f"{url}/say", data=encode(Ask(text), JSON), headers=sent) as response:
        return response.status, await response.json()


async def test_json_and_messagepack_are_both_understood(
    rooms: tuple[Rooms, str], session: aiohttp.ClientSession
) -> None:
    _, url = rooms
    assert (await say(session, url, "hello"))[1]["text"] == "hello"
    async with session.post(
        f"{url}/say", data=encode(Ask("hi")), headers={**FLEET_HEADERS, "content-type": MSGPACK}
    ) as response:
        assert response.content_type == MSGPACK
        assert msgspec.msgpack.decode(await response.read(), type=Told).text == "hi"


async def test_every_answer_carries_the_request_id_and_a_load_report(
    rooms: tuple[Rooms, str], session: aiohttp.ClientSession
) -> None:
    _, url = rooms
    async with session.get(f"{url}/livez", headers={"x-request-id": "abc-1"}) as response:
        assert response.headers["x-request-id"] == "abc-1"
        assert response.headers["endpoint-load-metrics"].startswith("TEXT cpu_utilization=")
    async with session.get(f"{url}/nowhere", headers={**FLEET_HEADERS, "x-request-id": "bad id\t"}) as response:
        assert response.status == 404
        error = (await response.json())["error"]
        assert error["request_id"] == response.headers["x-request-id"] != "bad id\t"
        assert error["code"] == "not_found"


async def test_errors_have_one_shape_and_a_bug_shows_nothing(
    rooms: tuple[Rooms, str], session: aiohttp.ClientSession
) -> None:
    _, url = rooms
    status, body = await say(session, url, "conflict")
    assert status == 409
    assert body["error"] == {
        "message": "taken",
        "type": "invalid_request_error",
        "code": "conflict",
        "param": "text",
        "request_id": body["error"]["request_id"],  # type: ignore[index]
        "retryable": False,
    }
    status, body = await say(session, url, "bug")
    assert status == 500
    assert "secret" not in str(body)
    async with session.post(f"{url}/say", data=b"{", headers={**FLEET_HEADERS, "content-type": JSON}) as response:
        assert response.status == 400
    async with session.get(f"{url}/say", headers=FLEET_HEADERS) as response:
        assert response.status == 405


async def test_only_the_fleet_may_call_and_only_loopback_names_are_answered(
    rooms: tuple[Rooms, str], session: aiohttp.ClientSession
) -> None:
    _, url = rooms
    async with session.get(f"{url}/internal/status") as response:
        assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
    async with session.get(f"{url}/internal/status", headers=FLEET_HEADERS) as response:
        status = msgspec.json.decode(await response.read(), type=ReplicaStatus)
        assert (status.ready, status.reason) == (False, "waiting for the first endpoint set")
    async with session.get(f"{url}/livez", headers={"host": "evil.example"}) as response:
        assert response.status == 421


async def test_readiness_is_told_with_its_reason(rooms: tuple[Rooms, str], session: aiohttp.ClientSession) -> None:
    service, url = rooms
    async with session.get(f"{url}/readyz") as response:
        assert (response.status, (await response.json())["reason"]) == (503, "waiting for the first endpoint set")
    service.kit.readiness.endpoints_version = "1.1"
    async with session.get(f"{url}/readyz") as response:
        assert response.status == 200
    service.kit.readiness.draining = True
    async with session.get(f"{url}/readyz") as response:
        assert (await response.json())["reason"] == "draining"


async def test_a_deadline_ends_the_work(rooms: tuple[Rooms, str], session: aiohttp.ClientSession) -> None:
    service, url = rooms
    status, body = await say(session, url, "wait", **{"x-argosy-deadline-ms": "50"})
    assert (status, body["error"]["code"]) == (504, "deadline_exceeded")  # type: ignore[index]
    await asyncio.wait_for(service.cancelled.wait(), 5)
    assert (await say(session, url, "x", **{"x-argosy-deadline-ms": "soon"}))[0] == 400


async def test_work_whose_caller_has_gone_is_dropped(rooms: tuple[Rooms, str], session: aiohttp.ClientSession) -> None:
    service, url = rooms
    asking = asyncio.create_task(say(session, url, "wait"))
    await asyncio.wait_for(service.inside.wait(), 5)
    asking.cancel()
    assert await asyncio.wait_for(service.cancelled.wait(), 5)


async def test_past_the_limit_the_answer_is_429_at_once() -> None:
    service = Rooms(Fleet.model_validate({"services": {"store": {"max_in_flight": 1}}}))
    async with served(service.app) as url, aiohttp.ClientSession() as session:
        first = asyncio.create_task(say(session, url, "wait"))
        await asyncio.wait_for(service.inside.wait(), 5)
        sent = {**FLEET_HEADERS, "content-type": JSON}
        async with session.post(f"{url}/say", data=encode(Ask("x"), JSON), headers=sent) as response:
            assert response.status == 429
            assert int(response.headers["retry-after"]) >= 1
        async with session.get(f"{url}/livez") as response:
            assert response.status == 200
        service.gate.set()
        assert (await first)[0] == 200
        assert service.kit.load.in_flight == 0
        assert service.kit.load.rejected == 1


async def test_a_stream_that_breaks_is_cut_not_ended(rooms: tuple[Rooms, str], session: aiohttp.ClientSession) -> None:
    _, url = rooms
    sent = {**FLEET_HEADERS, "content-type": JSON}
    async with session.post(f"{url}/stream", data=encode(Ask("all"), JSON), headers=sent) as response:
        assert await response.read() == b"one\ntwo\n"
    async with session.post(f"{url}/stream", data=encode(Ask("break"), JSON), headers=sent) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_metrics_count_by_route_never_by_path(rooms: tuple[Rooms, str], session: aiohttp.ClientSession) -> None:
    _, url = rooms
    await say(session, url, "hello")
    async with session.get(f"{url}/some/secret", headers=FLEET_HEADERS) as response:
        assert response.status == 404
    async with session.get(f"{url}/metrics") as response:
        text = await response.text()
    assert 'argosy_request_duration_seconds_count{route="/say",service="store",status="200"} 1.0' in text
    assert 'route="other",service="store",status="404"' in text
    assert "secret" not in text
    assert 'argosy_build_info{python="' in text
    assert "process_cpu_seconds_total " in text
    assert "process_max_fds " in text
