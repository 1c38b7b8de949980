"""Connections to members of the fleet: each listener proves that it knows the token before it receives a request.

Without this proof, a program that takes over the port of a dead process would receive the fleet's token with the first
call. The proof costs one request per new connection; requests on an open connection cost nothing more.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

import aiohttp

from argosy.clients.response import PooledResponse
from argosy.contracts import proof
from argosy.contracts.fleet import Endpoint

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.tracing import Trace

CONNECTIONS = 4096
"""Limit above the number that guards and waiters admit together, so that a long poll never delays a request."""
KEEP_ALIVE_S = 60.0
MAX_ANSWER_BYTES = 8192
DEFAULT_TIMEOUT = aiohttp.ClientTimeout(total=300)
"""Timeout for requests without their own; all requests of Argosy have one."""


class NotOurs(aiohttp.ClientConnectorError):
    """A listener did not prove that it belongs to the fleet. No request was sent to it."""


class ProvenConnector(aiohttp.BaseConnector):
    """Connector to loopback addresses whose listener knows the fleet's token."""

    def __init__(self, token: str, limit: int = CONNECTIONS) -> None:
        super().__init__(limit=limit, keepalive_timeout=KEEP_ALIVE_S)
        self._token = token

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        """Open a connection.

        Raises: NotOurs when the listener does not prove itself; aiohttp.ClientConnectorError when there is no listener.
        """
        try:
            async with asyncio.timeout(timeout.sock_connect):
                opened = await self._opened(req.url.host or "", req.url.port or 0, req.url.scheme)
        except _Unproven as error:
            raise NotOurs(req.connection_key, error) from error
        except TimeoutError:
            raise
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        try:
            _, protocol = await self._loop.create_connection(self._factory, sock=opened)
        except BaseException:
            opened.close()
            raise
        return protocol

    async def _opened(self, host: str, port: int, scheme: str) -> socket.socket:
        """Return a connected socket whose peer has proved itself. Raises: OSError of the last address tried."""
        if scheme != "http":
            raise _Unproven("members of the fleet are called by http only")
        failed: OSError = _Unproven(f"{host} is not an address of this machine")
        for address in _loopback(host):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            opened = socket.socket(family, socket.SOCK_STREAM)
            try:
                opened.setblocking(False)
                await self._loop.sock_connect(opened, (address, port))
                await self._require_proof(opened, address, port)
            except OSError as error:
                opened.close()
                failed = error
            except BaseException:
                opened.close()
                raise
            else:
                return opened
        raise failed

    async def _require_proof(self, opened: socket.socket, address: str, port: int) -> None:
        """Check the proof of the listener. Raises: OSError when it gives none or is about to close the connection."""
        nonce = proof.new_nonce()
        host = f"[{address}]" if ":" in address else address
        question = f"GET {proof.PATH}?nonce={nonce} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/plain\r\n\r\n"
        await self._loop.sock_sendall(opened, question.encode("ascii"))
        if not proof.is_proof(await self._answer(opened), self._token, nonce, address, port):
            raise _Unproven("it does not know the fleet's token")

    async def _answer(self, opened: socket.socket) -> str:
        """Read the body of a plain answer with status 200, and no byte beyond it."""
        received = b""
        while True:
            head, end, body = received.partition(b"\r\n\r\n")
            if end:
                status, headers = _parsed(head)
                if status != 200 or headers.get("connection", "").lower() == "close":
                    raise _Unproven(f"it answered {status}")
                length = headers.get("content-length", "")
                if not (length.isascii() and length.isdigit()) or len(body) > int(length):
                    raise _Unproven("its answer is not a proof")
                if len(body) == int(length):
                    return body.decode("latin-1")
            if len(received) > MAX_ANSWER_BYTES:
                raise _Unproven("its answer is not a proof")
            data = await self._loop.sock_recv(opened, MAX_ANSWER_BYTES)
            if not data:
                raise _Unproven("it closed the connection")
            received += data


class _Unproven(OSError):
    """A listener did not prove that it belongs to the fleet; the text is the reason."""


class Sessions:
    """Two sessions: one for listeners that prove themselves, one for programs that cannot."""

    def __init__(self, plain: aiohttp.ClientSession, token: str) -> None:
        """Create the sessions; `plain` belongs to the caller, who closes it."""
        self.plain = plain
        self._token = token
        self._proven: aiohttp.ClientSession | None = None

    @property
    def proven(self) -> aiohttp.ClientSession:
        """Session for proving listeners. It is opened at first use, because this requires a running event loop."""
        if self._proven is None:
            self._proven = proven_session(self._token)
        return self._proven

    def to(self, endpoint: Endpoint) -> aiohttp.ClientSession:
        """Return the session for calls to the replica."""
        return self.proven if endpoint.proves else self.plain

    async def aclose(self) -> None:
        if self._proven is not None:
            await self._proven.close()
            self._proven = None


def proven_session(token: str, timeout: aiohttp.ClientTimeout = DEFAULT_TIMEOUT) -> aiohttp.ClientSession:
    """Return a session that connects to members of the fleet only. It does not send the token by itself."""
    return aiohttp.ClientSession(
        connector=ProvenConnector(token),
        auto_decompress=False,
        # Cookies that one caller receives must never be sent with the request of another caller.
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=PooledResponse,
        timeout=timeout,
    )


def _loopback(host: str) -> list[str]:
    """Return the loopback addresses of `host`; empty when it is another machine."""
    if host == "localhost":
        return ["127.0.0.1", "::1"]
    try:
        return [host] if ipaddress.ip_address(host).is_loopback else []
    except ValueError:
        return []


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    """Return status and headers, names in lower case. Raises: _Unproven when the answer is not HTTP."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not (rest[:3].isascii() and rest[:3].isdigit()):
        raise _Unproven("it does not speak HTTP")
    headers = (line.partition(":") for line in lines)
    return int(rest[:3]), {name.strip().lower(): value.strip() for name, _, value in headers}
