"""A gateway in front of custom services; both sides are controlled byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import msgspec
from starlette.types import Receive, Scope, Send

from argosy.balancing.candidate import Candidate
from argosy.config.models import Fleet
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.services.gateway.app import GatewayService
from tests.kits import make_kit, served

PATIENCE_S = 20.0
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
OK_HEAD = OK.removesuffix(b"ok")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it reached a service. `connection` numbers the connections in the order of their first requests."""

    connection: int
    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.headers}

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


Answering = Callable[[Asked], bytes | None]


def ok(asked: Asked) -> bytes:
    return OK_HEAD if asked.line.startswith("HEAD ") else OK


def nothing(asked: Asked) -> bytes:
    return b""


class RawService:
    """An HTTP/1.1 server that records the requests it reads. Load probes are answered and not recorded.

    `early` may answer before the body is read; `answer` answers after it. An answer of None closes the connection.
    """

    def __init__(self) -> None:
        self._open: set[asyncio.StreamWriter] = set()
        self.reads = asyncio.Event()
        """Event that must be set before bodies are read."""
        self.begin()

    def begin(self, answer: Answering = ok, early: Answering = nothing) -> None:
        """Forget all requests, close all connections, and use the given answers from now on."""
        for writer in self._open:
            writer.close()
        self._answer = answer
        self._early = early
        self._numbers = itertools.count()
        self.asked: list[Asked] = []
        self.cut: list[int] = []
        """Numbers of the connections that ended inside a request."""
        self.begun = asyncio.Event()
        """Event that is set when the head of a request has arrived."""
        self.ended = asyncio.Event()
        """Event that is set when a connection has ended."""
        self.reads.set()

    async def end(self) -> None:
        """Close all connections and wait until none is served any more."""
        self.begin()
        async with asyncio.timeout(PATIENCE_S):
            while self._open:
                await asyncio.sleep(0)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number: int | None = None
        ended = self.ended
        self._open.add(writer)
        with contextlib.suppress(ConnectionError):
            while head := await self._head(reader):
                if head.target == "/livez":
                    writer.write(OK)
                    continue
                number = next(self._numbers) if number is None else number
                self.begun.set()
                first = self._early(head)
                if first is None:
                    break
                writer.write(first)
                await self.reads.wait()
                try:
                    body = await _body(reader, head)
                except asyncio.IncompleteReadError:
                    self.cut.append(number)
                    break
                asked = Asked(number, head.line, head.headers, body)
                self.asked.append(asked)
                answer = self._answer(asked)
                if answer is None:
                    break
                writer.write(answer)
        self._open.discard(writer)
        writer.close()
        ended.set()

    async def _head(self, reader: asyncio.StreamReader) -> Asked | None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except asyncio.IncompleteReadError:
            return None
        pairs = [line.partition(":") for line in lines[1:] if line]
        return Asked(-1, lines[0], [(name.lower(), value.strip()) for name, _, value in pairs])


async def _body(reader: asyncio.StreamReader, head: Asked) -> bytes:
    if head.values("transfer-encoding") == ["chunked"]:
        pieces = []
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            pieces.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
        return b"".join(pieces)
    return await reader.readexactly(int((head.values("content-length") or ["0"])[0]))


@contextlib.asynccontextmanager
async def listening(service: RawService) -> AsyncIterator[str]:
    """Run the service on a free port. Yields: its host and port."""
    server = await asyncio.start_server(service.handle, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await service.end()


class _Controller:
    """Fake controller that publishes one endpoint set and nothing after it."""

    def __init__(self, services: Mapping[str, str]) -> None:
        endpoints = {name: [Endpoint(f"{name}-1", f"http://{address}")] for name, address in services.items()}
        self._said = msgspec.json.encode(EndpointSet("1.1", endpoints))
        self.over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"]:
            await self.over.wait()
        body, status = (b"", 204) if scope["query_string"] else (self._said, 200)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


@dataclass(frozen=True, slots=True)
class Gateway:
    address: str
    service: GatewayService

    async def without_connections(self) -> None:
        """Wait until the gateway keeps no connection to a service."""
        async with asyncio.timeout(PATIENCE_S):
            while any(
                protocol.is_connected()
                for kept in self.service._upstreams._session.connector._conns.values()  # type: ignore[union-attr]
                for protocol, _ in kept
            ):
                await asyncio.sleep(0)

    @property
    def failed(self) -> int:
        """Return the number of requests that counted against a replica."""
        return sum(candidate.failed for candidate in self._candidates())

    @property
    def in_flight(self) -> int:
        return sum(candidate.in_flight for candidate in self._candidates())

    def _candidates(self) -> list[Candidate]:
        return self.service._upstreams.directory.balancer("mine").candidates

    async def ask(self, target: str, method: str = "GET", headers: str = "", body: bytes = b"") -> Answer:
        """Send a request on its own connection. `headers` are lines; Content-Length is added unless they give one."""
        async with self.connected() as (reader, writer):
            writer.write(self.head(target, method, headers, body) + body)
            return await read_answer(reader, method)

    def head(
        self, target: str, method: str = "GET", headers: str = "", body: bytes = b"", *, deadline_ms: int = 5000
    ) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"host: {self.address}", f"x-argosy-deadline-ms: {deadline_ms}"]
        lines += headers.splitlines()
        if body and not any(line.lower().startswith(("content-length", "transfer")) for line in lines):
            lines.append(f"content-length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(*self.address.split(":"))
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield reader, writer
        finally:
            writer.close()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.headers}


async def read_answer(reader: asyncio.StreamReader, method: str = "GET") -> Answer:
    """Read an answer. Raises: IncompleteReadError when it is cut off."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines[1:] if line]
    head = Asked(-1, lines[0], [(name.lower(), value.strip()) for name, _, value in pairs])
    status = int(lines[0].split(" ")[1])
    bodyless = method == "HEAD" or status in (204, 304)
    return Answer(status, head.headers, b"" if bodyless else await _body(reader, head))


@contextlib.asynccontextmanager
async def gateway_to(services: Mapping[str, str]) -> AsyncIterator[Gateway]:
    """Run a gateway that passes requests on to these services, each given by its host and port."""
    tables = {name: {"external": [f"http://{address}"], "health_path": "/livez"} for name, address in services.items()}
    async with contextlib.AsyncExitStack() as stack:
        controller = _Controller(services)
        controller_url = await stack.enter_async_context(served(controller))
        stack.callback(controller.over.set)
        fleet = Fleet.model_validate({"services": tables})
        service = GatewayService(make_kit("gateway", fleet, controller_url=controller_url))
        await service.start()
        stack.push_async_callback(service.stop)
        url = await stack.enter_async_context(served(service.app))
        yield Gateway(url.removeprefix("http://"), service)
