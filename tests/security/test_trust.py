"""A stranger who listens at a port of the fleet gets neither its token nor its routing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from argosy.cli.admin import start_report
from argosy.cli.gateway import NoFleet, admin_api
from argosy.cli.locate import FleetAddress
from argosy.clients.directory import Directory
from argosy.clients.proven import NotOurs, proven_session
from argosy.clients.status import StatusClient
from argosy.clients.transport import Transport
from argosy.clients.upstreams import Upstreams
from argosy.config.models import Fleet, Services
from argosy.contracts import proof
from argosy.contracts.errors import ArgosyError, Unavailable
from argosy.contracts.fleet import Endpoint, EndpointSet, Health, ReplicaStatus
from argosy.control.api.app import create_admin_app
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history import History
from argosy.control.monitoring.balance import balance_view
from argosy.control.monitoring.ingestion import ingestion_report
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Replica
from argosy.serving import runfile
from argosy.serving.app import create_app
from argosy.serving.proof import proof_route
from tests.kits import TOKEN, context, make_kit, served

pytestmark = pytest.mark.security

HEX_TOKEN = "5a" * 32
FORGED = EndpointSet("99999999999.1", {"store": [Endpoint("store-9", "http://127.0.0.1:9")]})


class Stranger:
    """Answers everything in the same way, and keeps all that it was sent."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.heard = bytearray()
        self.asked = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self.heard += data
                writer.write(self.answer)
                self.asked.set()
        writer.close()


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


@contextlib.asynccontextmanager
async def stranger(answer: bytes = ok(b"{}")) -> AsyncIterator[tuple[Stranger, str]]:
    found = Stranger(answer)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    try:
        yield found, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@contextlib.asynccontextmanager
async def running(upstreams: Upstreams) -> AsyncIterator[asyncio.Task[None]]:
    """Starts to follow; ends it also when no set ever came."""
    starting = asyncio.create_task(upstreams.start())
    try:
        yield starting
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await upstreams.stop()


@contextlib.contextmanager
def controlled(tmp_path: Path, publisher: Publisher) -> AsyncIterator[Controller]:
    history = History(tmp_path)
    yield Controller(
        Fleet(), FakePlatform(), Prober(TOKEN, 1.0), publisher, Feed(history), history, public_port=0
    )
    history.close()


async def test_a_stranger_at_the_admin_port_gets_neither_the_token_nor_the_routing() -> None:
    async with stranger(ok(msgspec.json.encode(FORGED))) as (found, url):
        upstreams = Upstreams.of(make_kit("retrieval", controller_url=url, proves=True))
        async with running(upstreams):
            for _ in range(2):  # it comes back after the first answer, and is no wiser
                found.asked.clear()
                await asyncio.wait_for(found.asked.wait(), 10)
            assert TOKEN.encode() not in found.heard
            assert b"authorization" not in bytes(found.heard).lower()
            assert upstreams.directory.version is None


async def test_the_real_controller_is_found_where_its_record_says_and_its_set_wins(tmp_path: Path) -> None:
    """A stranger holds the port that the replica was started with; the next controller had to listen elsewhere."""
    publisher = Publisher(epoch=7)
    publisher.publish({"store": [Endpoint("store-1", "http://127.0.0.1:1")]})
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    with controlled(tmp_path, publisher) as controller:
        async with stranger() as (found, url), served(create_admin_app(controller, TOKEN)) as real:
            kit = make_kit("retrieval", controller_url=url, data_dir=str(tmp_path), proves=True)
            upstreams = Upstreams.of(kit)
            async with running(upstreams) as starting:
                await asyncio.wait_for(found.asked.wait(), 10)
                runfile.write_private(runfile.controller_path(run), msgspec.json.encode({"admin_url": real}))
                await asyncio.wait_for(starting, 20)
                assert upstreams.directory.version == "7.1"
                assert TOKEN.encode() not in found.heard


def test_a_set_of_another_epoch_wins_also_when_its_number_is_lower() -> None:
    """control.db was lost, restored, or the clock was set back: the controller that runs now is right."""
    directory = Directory(Services())
    directory.apply(FORGED)
    assert directory.apply(EndpointSet("3.1", {"store": [Endpoint("store-1", "http://127.0.0.1:1")]}))
    assert [c.endpoint.id for c in directory.balancer("store").candidates] == ["store-1"]
    assert not directory.apply(EndpointSet("3.1", {"store": []}, emptied=["store"]))


Ask = Callable[[str], Awaitable[object]]


async def call_a_replica(url: str) -> None:
    directory = Directory(Services())
    directory.apply(EndpointSet("1.1", {"store": [Endpoint("store-1", url, proves=True)]}))
    async with aiohttp.ClientSession() as session, contextlib.aclosing(Transport(directory, session, TOKEN)) as made:
        await made.call("store", "/search", {"text": "secret question"}, dict, context(5))


async def stream_from_a_replica(url: str) -> None:
    directory = Directory(Services())
    directory.apply(EndpointSet("1.1", {"generation": [Endpoint("generation-1", url, proves=True)]}))
    async with aiohttp.ClientSession() as session, contextlib.aclosing(Transport(directory, session, TOKEN)) as made:
        async with made.stream("generation", "/answer", {"text": "secret question"}, context(5)):
            pass


async def forward_to_a_replica(url: str) -> None:
    directory = Directory(Services())
    directory.apply(EndpointSet("1.1", {"documents": [Endpoint("documents-1", url, proves=True)]}))
    async with aiohttp.ClientSession() as session, contextlib.aclosing(Transport(directory, session, TOKEN)) as made:
        await made.forward("documents", "/documents", "POST", context(5), body=b"secret question")


async def ask_a_replicas_status(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        client = StatusClient(session, "http://127.0.0.1:1", TOKEN)
        try:
            await client.replica(Endpoint("store-1", url, proves=True), context(5))
        finally:
            await client.aclose()


async def ask_for_the_balance(url: str) -> None:
    with contextlib.ExitStack() as stack:
        view = await balance_view(service_view(), "adaptive", [], [], [replica_at(url)], TOKEN)
        stack.close()
    if view.silent:
        raise Unavailable(view.silent[0].reason)


async def ask_for_the_ingestion(url: str) -> None:
    view = service_view().replicas[0]
    view.endpoint = url
    await ingestion_report([view], TOKEN, 60)


async def ask_for_the_start_report(url: str) -> None:
    await start_report(url, DATA_DIR[0])


async def ask_from_the_command_line(url: str) -> None:
    fleet = FleetAddress(url, url, DATA_DIR[0])
    await asyncio.to_thread(lambda: admin_api(fleet).get("/v1/fleet"))
