"""A foreign process that listens on a port of the fleet gets neither its token nor its traffic."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from argosy.cli.client.admin import start_report
from argosy.cli.client.gateway import NoFleet, admin_api
from argosy.cli.client.locate import FleetAddress
from argosy.clients.directory import Directory
from argosy.clients.proven import NotOurs, Sessions, proven_session
from argosy.clients.status import StatusClient
from argosy.clients.transport import Transport
from argosy.clients.upstreams import Upstreams
from argosy.config.models import Fleet, Services
from argosy.contracts import proof
from argosy.contracts.errors import ArgosyError, Unavailable
from argosy.contracts.fleet import Endpoint, EndpointSet, Health, Load, ReplicaStatus, ReplicaView, ServiceView
from argosy.control.api.app import create_admin_app
from argosy.control.controller import Controller
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
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
    """Foreign server that gives every request the same answer and records all requests."""

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
    """Follow the controller for the block; the task ends even if no endpoint set arrived."""
    starting = asyncio.create_task(upstreams.start())
    try:
        yield starting
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await upstreams.stop()


@contextlib.contextmanager
def controlled(tmp_path: Path, publisher: Publisher) -> Iterator[Controller]:
    history = History(tmp_path)
    yield Controller(Fleet(), FakePlatform(), Prober(TOKEN, 1.0), publisher, Feed(history), history, public_port=0)
    history.close()


async def test_a_stranger_at_the_admin_port_gets_neither_the_token_nor_the_routing() -> None:
    async with stranger(ok(msgspec.json.encode(FORGED))) as (found, url):
        upstreams = Upstreams.of(make_kit("retrieval", controller_url=url, proves=True))
        async with running(upstreams):
            for _ in range(2):  # it calls again after the first answer and has learned nothing
                found.asked.clear()
                await asyncio.wait_for(found.asked.wait(), 10)
            assert TOKEN.encode() not in found.heard
            assert b"authorization" not in bytes(found.heard).lower()
            assert upstreams.directory.version is None


async def test_the_real_controller_is_found_where_its_record_says_and_its_set_wins(tmp_path: Path) -> None:
    """Let a foreign server hold the port that the replica was started with; the next controller listens elsewhere."""
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
    """Accept the running controller's set after control.db was lost or restored or the clock was set back."""
    directory = Directory(Services())
    directory.apply(FORGED)
    assert directory.apply(EndpointSet("3.1", {"store": [Endpoint("store-1", "http://127.0.0.1:1")]}))
    assert [c.endpoint.id for c in directory.balancer("store").candidates] == ["store-1"]
    assert not directory.apply(EndpointSet("3.1", {"store": []}, emptied=["store"]))


def test_an_epoch_that_comes_again_does_not_keep_the_next_set_out() -> None:
    """Restore an older control.db while the clock is behind: the numbering of sets starts again."""
    directory = Directory(Services())
    directory.apply(EndpointSet("1002.37", {"store": [Endpoint("store-9", "http://127.0.0.1:9")]}))
    update = EndpointSet("1002.1", {"store": [Endpoint("store-1", "http://127.0.0.1:1")]})
    assert not directory.apply(update)
    assert directory.apply(update, is_latest=True)
    assert not directory.apply(update, is_latest=True)
    assert [c.endpoint.id for c in directory.balancer("store").candidates] == ["store-1"]


Ask = Callable[[str, Path], Awaitable[object]]


@contextlib.asynccontextmanager
async def calling(service: str, url: str) -> AsyncIterator[Transport]:
    directory = Directory(Services())
    directory.apply(EndpointSet("1.1", {service: [Endpoint(f"{service}-1", url, proves=True)]}))
    async with aiohttp.ClientSession() as session, contextlib.aclosing(Transport(directory, session, TOKEN)) as made:
        yield made


async def call_a_replica(url: str, _: Path) -> None:
    async with calling("store", url) as transport:
        await transport.call("store", "/search", {"text": "secret question"}, dict[str, int], context(5))


async def stream_from_a_replica(url: str, _: Path) -> None:
    asked = {"text": "secret question"}
    async with calling("generation", url) as made, made.stream("generation", "/answer", asked, context(5)):
        pass


async def forward_to_a_replica(url: str, _: Path) -> None:
    async with calling("documents", url) as transport:
        await transport.forward("documents", "/documents", "POST", context(5), body=b"secret question")


async def ask_a_replica_for_its_status(url: str, _: Path) -> None:
    async with aiohttp.ClientSession() as plain, contextlib.aclosing(Sessions(plain, TOKEN)) as sessions:
        client = StatusClient(sessions.proven, url, TOKEN, sessions)
        await client.replica(Endpoint("store-1", url, proves=True), context(5))


async def ask_the_controller_for_the_fleet(url: str, _: Path) -> None:
    async with aiohttp.ClientSession() as plain, contextlib.aclosing(Sessions(plain, TOKEN)) as sessions:
        await StatusClient(sessions.proven, url, TOKEN, sessions).fleet(context(5))


async def probe(url: str, _: Path) -> None:
    prober = Prober(TOKEN, 5.0)
    await prober.start()
    try:
        answer = await prober.probe(Replica("store-1", "store", "r1", url=url, proves=True))
    finally:
        await prober.stop()
    assert answer.status is None
    raise Unavailable(answer.error)


async def ask_for_the_balance(url: str, _: Path) -> None:
    service = ServiceView("store", Health.HEALTHY, "", 1, None, 0, None, {}, [])
    caller = Replica("gateway-1", "gateway", "r1", url=url, proves=True)
    view = await balance_view(service, "adaptive", [], [], [caller], TOKEN)
    raise Unavailable(view.silent[0].reason)


async def ask_for_the_ingestion(url: str, _: Path) -> None:
    replica = ReplicaView("documents-1", 1, url, "r1", Health.HEALTHY, "", None, 0, None, {}, None, 0)
    await ingestion_report([replica], TOKEN, 60)


async def ask_for_the_start_report(url: str, data_dir: Path) -> None:
    await start_report(url, data_dir)


async def ask_from_the_command_line(url: str, data_dir: Path) -> None:
    fleet = FleetAddress(url, url, data_dir)
    await asyncio.to_thread(lambda: admin_api(fleet).get("/v1/fleet"))


@pytest.mark.parametrize(
    "ask",
    [
        call_a_replica,
        stream_from_a_replica,
        forward_to_a_replica,
        ask_a_replica_for_its_status,
        ask_the_controller_for_the_fleet,
        probe,
        ask_for_the_balance,
        ask_for_the_ingestion,
        ask_for_the_start_report,
        ask_from_the_command_line,
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        ok(b"{}"),
        ok(b"0" * 64),
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\n\r\n",
        b"\x00\xff\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 4096,
    ],
    ids=["ok", "no_proof", "not_found", "asks_for_the_token", "no_http", "endless"],
)
async def test_a_stranger_at_any_port_of_the_fleet_hears_neither_token_nor_request(
    ask: Ask, answer: bytes, tmp_path: Path
) -> None:
    runfile.write_private(tmp_path / "token", HEX_TOKEN.encode())
    async with stranger(answer) as (found, url):
        with pytest.raises(ArgosyError):
            await ask(url, tmp_path)
        assert found.heard
        for secret in (TOKEN, HEX_TOKEN, "authorization", "secret question"):
            assert secret not in found.heard.decode("latin-1").lower()


async def test_a_proof_for_one_port_is_worth_nothing_at_another() -> None:
    """Let a foreign server relay the challenge to a fleet member and answer with that member's proof."""
    async with served(create_app(make_kit("store"), [])) as real:

        async def relay(request: Request) -> Response:
            async with (
                aiohttp.ClientSession() as session,
                session.get(real + request.url.path, params=dict(request.query_params)) as answer,
            ):
                return PlainTextResponse(await answer.text(), answer.status)

        async with served(Starlette(routes=[Route("/{path:path}", relay)])) as url, proven_session(TOKEN) as session:
            async with session.get(f"{real}/livez") as answer:
                assert answer.status == 200
            with pytest.raises(NotOurs):
                await session.get(f"{url}/livez")


@pytest.mark.parametrize("address", ["http://192.0.2.1:80", "http://example.org:80", "https://127.0.0.1:1"])
async def test_the_token_goes_to_no_other_machine(address: str) -> None:
    async with proven_session(TOKEN) as session:
        with pytest.raises(NotOurs):
            await session.get(address)


async def test_a_member_is_asked_once_for_each_connection_and_then_called_as_before() -> None:
    asked: list[str] = []

    async def livez(request: Request) -> Response:
        return PlainTextResponse(request.headers.get("authorization", ""))

    route = proof_route(TOKEN)

    async def counted(request: Request) -> Response:
        asked.append(request.query_params["nonce"])
        answer: Response = await route.endpoint(request)
        return answer

    app = Starlette(routes=[Route("/livez", livez), Route(proof.PATH, counted)])
    async with served(app) as url, proven_session(TOKEN) as session:
        for _ in range(5):
            async with session.get(f"{url}/livez", headers={"authorization": f"Bearer {TOKEN}"}) as answer:
                assert await answer.text() == f"Bearer {TOKEN}"
        assert len(asked) == 1
        replies = (session.get(f"{url}/livez") for _ in range(3))
        for answer in await asyncio.gather(*replies):
            await answer.read()
    assert len(set(asked)) == len(asked) > 1


async def test_members_answer_the_question_without_a_token_and_nothing_else(tmp_path: Path) -> None:
    with controlled(tmp_path, Publisher(1)) as controller:
        for app in (create_app(make_kit("store"), []), create_admin_app(controller, TOKEN)):
            async with served(app) as url, aiohttp.ClientSession() as session:
                nonce = proof.new_nonce()
                async with session.get(f"{url}{proof.PATH}", params={"nonce": nonce}) as answer:
                    port = int(url.rpartition(":")[2])
                    assert await answer.text() == proof.proof(TOKEN, nonce, "127.0.0.1", port)
                for bad in ("", "0" * 63, "0" * 65, "x" * 64, nonce.upper() + "\n"):
                    async with session.get(f"{url}{proof.PATH}", params={"nonce": bad}) as answer:
                        assert answer.status == 400


async def test_replicas_of_an_earlier_version_are_called_as_they_were(tmp_path: Path) -> None:
    """Call replicas without proof when the controller that adopts them says in the endpoint set that they have none."""
    status = ReplicaStatus("store", "store-1", "r1", 1, True, False, Health.HEALTHY, "", 1.0, None, Load())

    async def says(request: Request) -> Response:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        return Response(msgspec.json.encode(status))

    async with served(Starlette(routes=[Route("/internal/status", says)])) as url:
        prober = Prober(TOKEN, 5.0)
        await prober.start()
        answer = await prober.probe(Replica("store-1", "store", "r1", url=url))
        await prober.stop()
        assert answer.status == status


def test_the_command_line_says_that_it_met_a_stranger(tmp_path: Path) -> None:
    async def look() -> None:
        runfile.write_private(tmp_path / "token", HEX_TOKEN.encode())
        async with stranger() as (_, url):
            with pytest.raises(NoFleet, match="does not know this fleet's token, so nothing was sent to it"):
                await ask_from_the_command_line(url, tmp_path)

    asyncio.run(look())
