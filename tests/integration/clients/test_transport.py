"""Calls between services over real sockets: retries on other replicas, deadlines, errors restored as Argosy errors."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from argosy.balancing.outcome import OutcomeKind
from argosy.balancing.retry_budget import RetryBudget
from argosy.clients.directory import Directory
from argosy.clients.load_prober import LoadProber
from argosy.clients.transport import Transport
from argosy.config.models import Services
from argosy.config.services import StoreSettings
from argosy.contracts.errors import Conflict, DeadlineExceeded, Overloaded, Unavailable, UpstreamFailed
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.contracts.request import RequestContext
from argosy.serving.app import create_app, typed
from tests.kits import TOKEN, context, make_kit, served
from tests.waiting import until

pytestmark = pytest.mark.integration


class Word(msgspec.Struct):
    word: str


class Echo:
    """A store-like service that answers with its name; some words make it misbehave."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        self.app = create_app(
            make_kit(), [typed("/echo", Word, self.echo), Route("/broken", self.broken, methods=["POST"])]
        )

    async def echo(self, word: Word, request: RequestContext) -> Word:
        self.calls += 1
        if word.word == "conflict":
            raise Conflict("taken")
        if word.word == "busy":
            raise Overloaded("full", retry_after_s=7)
        if word.word == "forever":
            await asyncio.Event().wait()
        return Word(f"{self.name}:{word.word}")

    async def broken(self, request: object) -> StreamingResponse:
        async def lines() -> AsyncIterator[bytes]:
            yield b"one\n"
            raise RuntimeError

        return StreamingResponse(lines())


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def directory() -> Directory:
    return Directory(Services())


@pytest.fixture
async def transport(directory: Directory) -> AsyncIterator[Transport]:
    async with aiohttp.ClientSession() as session:
        yield Transport(directory, session, TOKEN)


def publish(directory: Directory, **urls: str) -> None:
    number = directory.version.partition(".")[2] if directory.version else "0"
    endpoints = [Endpoint(name, url) for name, url in urls.items()]
    directory.apply(EndpointSet(f"1.{int(number) + 1}", {"store": endpoints}))


async def ask(transport: Transport, word: str, timeout_s: float = 10) -> str:
    return (await transport.call("store", "/echo", Word(word), Word, context(timeout_s))).word


async def test_a_refused_connection_is_tried_once_elsewhere(directory: Directory, transport: Transport) -> None:
    alive = Echo("alive")
    async with served(alive.app) as url:
        publish(directory, dead=f"http://127.0.0.1:{closed_port()}", alive=url)
        answers = [await ask(transport, str(n)) for n in range(20)]
    assert answers == [f"alive:{n}" for n in range(20)]
    assert alive.calls == 20
    assert all(c.in_flight == 0 for c in directory.balancer("store").candidates)


async def test_when_nobody_can_be_reached_the_service_is_named(directory: Directory, transport: Transport) -> None:
    with pytest.raises(Unavailable, match="store service has no running replica"):
        await ask(transport, "x")
    publish(directory, dead=f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(Unavailable, match="store service cannot be reached"):
        await ask(transport, "x")


@pytest.mark.parametrize("timeout_s", [0.25, 0.5])
async def test_a_service_worth_waiting_for_is_unavailable_when_it_is_silent_or_away(
    directory: Directory, transport: Transport, timeout_s: float
) -> None:
    silent = Echo("silent")
    async with served(silent.app) as url:
        publish(directory, silent=url)
        with pytest.raises(Unavailable, match="store service did not answer"):
            await transport.call("store", "/echo", Word("forever"), Word, context(timeout_s), patient=True)
    publish(directory, dead=f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(Unavailable, match="store service cannot be reached"):
        await transport.call("store", "/echo", Word("x"), Word, context(timeout_s), patient=True)


async def test_a_reset_connection_is_retried_for_idempotent_calls_only(
    directory: Directory, transport: Transport
) -> None:
    connections = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read(1)
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    publish(directory, rude=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        with pytest.raises(Unavailable):
            await transport.call("store", "/echo", Word("x"), Word, context(), idempotent=False)
        assert connections == 1
        with pytest.raises(Unavailable):
            await transport.call("store", "/echo", Word("x"), Word, context())
        assert connections == 3


async def test_errors_come_back_as_they_were_raised(directory: Directory, transport: Transport) -> None:
    async with served(Echo("a").app) as url:
        publish(directory, a=url)
        with pytest.raises(Conflict, match="taken"):
            await ask(transport, "conflict")
        with pytest.raises(Overloaded) as caught:
            await ask(transport, "busy")
        assert caught.value.retry_after_s == 7


async def test_the_deadline_is_kept_whatever_the_service_does(directory: Directory, transport: Transport) -> None:
    async with served(Echo("a").app) as url:
        publish(directory, a=url)
        with pytest.raises(DeadlineExceeded):
            await ask(transport, "forever", timeout_s=0.1)
        with pytest.raises(DeadlineExceeded):
            await ask(transport, "x", timeout_s=-1)


async def test_a_stream_that_breaks_raises_and_is_not_taken_for_whole(
    directory: Directory, transport: Transport
) -> None:
    async with served(Echo("a").app) as url:
        publish(directory, a=url)
        lines: list[bytes] = []
        with pytest.raises(UpstreamFailed):
            await read(transport, lines)
        assert lines == [b"one"]


async def read(transport: Transport, lines: list[bytes]) -> None:
    async with transport.stream("store", "/broken", Word("x"), context()) as answer:
        async for line in answer:
            lines.append(line)


class Plain:
    """A service that records its requests and answers with `status`."""

    def __init__(self, status: int = 200) -> None:
        self.seen: list[tuple[str, str | None, float]] = []
        self.status = status
        self.app = Starlette(routes=[Route("/any", self.any, methods=["GET", "POST"])])

    async def any(self, request: Request) -> Response:
        left_ms = float(request.headers["x-argosy-deadline-ms"])
        self.seen.append((request.method, request.headers.get("content-type"), left_ms))
        return PlainTextResponse("said", self.status)


async def test_a_request_without_a_body_is_given_no_content_type(directory: Directory, transport: Transport) -> None:
    plain = Plain()
    async with served(plain.app) as url:
        publish(directory, a=url)
        await transport.forward("store", "/any", "POST", context())
        async with transport.proxy("store", "/any", "POST", context(), body=None, headers=[], query=""):
            pass
    assert [(method, kind) for method, kind, _ in plain.seen] == [("POST", None), ("POST", None)]


@pytest.mark.parametrize(("method", "replicas"), [("POST", 1), ("GET", 2)])
async def test_a_users_own_service_that_breaks_off_is_asked_elsewhere_only_by_a_safe_method(
    directory: Directory, transport: Transport, method: str, replicas: int
) -> None:
    asked: set[int] = set()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.add(writer.get_extra_info("sockname")[1])
        writer.close()
        await writer.wait_closed()

    servers = [await asyncio.start_server(hang_up, "127.0.0.1", 0) for _ in range(2)]
    urls = [f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers]
    publish(directory, a=urls[0], b=urls[1])
    with pytest.raises(Unavailable):
        async with transport.proxy("store", "/any", method, context(), body=None, headers=[], query=""):
            pass
    for server in servers:
        server.close()
        await server.wait_closed()
    assert len(asked) == replicas


async def test_a_5xx_that_is_passed_on_counts_as_the_replicas_failure(
    directory: Directory, transport: Transport
) -> None:
    async with served(Plain(503).app) as url:
        publish(directory, a=url)
        assert (await transport.forward("store", "/any", "GET", context())).status == 503
        async with transport.proxy("store", "/any", "GET", context(), body=None, headers=[], query="") as answer:
            assert answer.status == 503
    (candidate,) = directory.balancer("store").candidates
    assert (candidate.ended, candidate.failed) == (2, 2)


async def test_a_late_service_is_named_before_the_callers_own_time_is_over(
    directory: Directory, transport: Transport
) -> None:
    async with served(Echo("a").app) as url:
        publish(directory, a=url)
        mine = context(2.0)
        with pytest.raises(DeadlineExceeded, match=r"store service did not answer|not ready within the time"):
            await transport.call("store", "/echo", Word("forever"), Word, mine)
        assert mine.deadline.remaining_s() > 0


async def test_a_first_attempt_that_is_too_late_leaves_time_for_another(
    directory: Directory, transport: Transport
) -> None:
    """Retry on another replica too when the replica itself reports that the attempt's deadline has passed."""
    slow, quick = Echo("slow"), Echo("quick")

    async def forever(word: Word, request: RequestContext) -> Word:
        await asyncio.Event().wait()
        return word

    slow.app = create_app(make_kit(), [typed("/echo", Word, forever)])
    async with served(slow.app) as slow_url, served(quick.app) as quick_url:
        publish(directory, slow=slow_url, quick=quick_url)
        answers = [await ask(transport, "x", timeout_s=1.0) for _ in range(6)]
    assert answers == ["quick:x"] * 6


async def test_without_a_retry_budget_left_nothing_is_tried_elsewhere(directory: Directory) -> None:
    def budget() -> RetryBudget:
        return RetryBudget(share=0.0, reserve_per_s=0.1, window_s=10.0)

    alive = Echo("alive")
    async with served(alive.app) as url, aiohttp.ClientSession() as session:
        transport = Transport(directory, session, TOKEN, clock=lambda: 0.0, budget=budget)
        for n in range(3):
            # Addresses differ each time: a replica that is known to be dead would not be called.
            publish(directory, **{f"dead{n}{k}": f"http://127.0.0.1:{closed_port()}" for k in "ab"})
            with pytest.raises(Unavailable):
                await ask(transport, "x")
        assert transport.guards["store"].retries_refused == 2, "the reserve holds one second attempt"
        publish(directory, alive=url)
        assert await ask(transport, "x") == "alive:x", "first attempts need no budget"
    assert alive.calls == 1


async def test_what_a_replica_says_of_its_load_is_read_from_every_answer(
    directory: Directory, transport: Transport
) -> None:
    async with served(Echo("one").app) as url:
        publish(directory, one=url)
        await ask(transport, "x")
        with pytest.raises(Conflict):
            await ask(transport, "conflict")
    [candidate] = directory.balancer("store").candidates
    assert candidate.report is not None
    assert candidate.report.rif == 0
    assert (candidate.ended, candidate.failed) == (2, 0)


async def test_a_probe_brings_the_report_without_a_request_of_a_users() -> None:
    directory = Directory(Services(store=StoreSettings(balancing="prequal")))
    one, two = Echo("one"), Echo("two")
    balancer = directory.balancer("store")
    async with served(one.app) as first, served(two.app) as second, aiohttp.ClientSession() as session:
        publish(directory, one=first, two=second)
        balancer.pick().end(OutcomeKind.CANCELLED)
        probing = asyncio.create_task(LoadProber(directory, session).run())
        await until(lambda: all(candidate.report is not None for candidate in balancer.candidates))
        probing.cancel()
    assert one.calls == two.calls == 0
