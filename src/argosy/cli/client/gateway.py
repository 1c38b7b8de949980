"""Blocking client of the fleet's HTTP APIs. Each call runs its own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import aiohttp
import msgspec

from argosy.cli.client.hints import command
from argosy.contracts.errors import (
    DeadlineExceeded,
    InvalidRequest,
    Unavailable,
    UpstreamFailed,
    error_from_wire,
)
from argosy.contracts.lines import event_data
from argosy.contracts.retry_after import retry_after_s

if TYPE_CHECKING:
    from argosy.cli.client.locate import FleetAddress

T = TypeVar("T")
Params = Mapping[str, str | int]

CONNECT_TIMEOUT_S = 5.0
ADMIN_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 330.0
"""Timeout longer than the longest deadline that a gateway grants, so that the gateway's own error arrives first."""
MAX_EVENT_BYTES = 2**21
"""Longest event of a streamed answer. The last one carries every citation with its quote."""


GATEWAY = "gateway"


class NoFleet(Unavailable):
    """No fleet listens at the address."""


class Stranger(NoFleet):
    """The listener at the address does not know the fleet's token."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Body of an answer, unchanged, so that `--json` can print all of it."""

    body: bytes

    def into(self, kind: type[T]) -> T:
        """Decode the body as `kind`. Raises: UpstreamFailed when the body does not fit."""
        return decoded(self.body, kind)


def decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UpstreamFailed(
            f"This version of argosy does not understand the answer ({error}); check that --url is a fleet's address."
        ) from error


@dataclass(frozen=True, slots=True)
class Api:
    """One API: its base address, the token that every request carries, and its timeout."""

    url: str
    token: str | None = field(default=None, repr=False)
    name: str = GATEWAY
    timeout_s: float = ANSWER_TIMEOUT_S

    def get(self, path: str, params: Params | None = None) -> Reply:
        return self._run(self._send("GET", path, params=params))

    def delete(self, path: str) -> Reply:
        return self._run(self._send("DELETE", path))

    def post(self, path: str, message: object = None) -> Reply:
        """Send `message` as JSON, or no body if it is None."""
        return self._run(self._send("POST", path, message=message))

    def post_form(self, path: str, form: Callable[[], aiohttp.FormData]) -> Reply:
        """Send a multipart form. `form` makes it, because it must be made inside the loop that sends it."""
        return self._run(self._send("POST", path, form=form))

    def events(self, path: str, message: object) -> Generator[bytes, None, None]:
        """Post `message` and yield the data of each server-sent event as it arrives.

        Raises: the ArgosyError that the API answers; UpstreamFailed when the connection ends early.
        """
        with asyncio.Runner() as runner:
            events = self._events(path, message)
            try:
                while (event := runner.run(_next(events))) is not None:
                    yield event
            finally:
                runner.run(events.aclose())

    def _run(self, work: Coroutine[object, object, Reply]) -> Reply:
        return asyncio.run(work)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        message: object = None,
        form: Callable[[], aiohttp.FormData] | None = None,
    ) -> Reply:
        data = form() if form is not None else None
        async with self._open(method, path, params=params, message=message, data=data) as response:
            return Reply(await response.read())

    async def _events(self, path: str, message: object) -> AsyncGenerator[bytes, None]:
        async with self._open("POST", path, message=message) as response:
            if response.content_type != "text/event-stream":
                yield await response.read()
                return
            async with aclosing(event_data(response.content.iter_any(), MAX_EVENT_BYTES)) as events:
                async for event in events:
                    yield event

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        message: object = None,
        data: aiohttp.FormData | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"accept": "application/json, text/event-stream"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        payload: bytes | aiohttp.FormData | None = data
        if message is not None:
            payload = msgspec.json.encode(message)
            headers["content-type"] = "application/json"
        timeout = aiohttp.ClientTimeout(total=self.timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        with self._wrapped():
            async with (
                self._session(timeout) as session,
                session.request(
                    method,
                    self.url + path,
                    params=params,
                    data=payload,
                    headers=headers,
                    allow_redirects=not self.token,
                    skip_auto_headers=None if isinstance(payload, aiohttp.FormData) else ("content-type",),
                ) as response,
            ):
                if response.status >= 400:
                    raise error_from_wire(
                        response.status,
                        await response.read(),
                        self.name,
                        retry_after_s(response.headers.get("retry-after")),
                    )
                yield response

    def _session(self, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
        """Return a session. With a token, it connects only to a listener that proves that it knows the token."""
        connector = None
        if self.token:
            from argosy.clients.proven import ProvenConnector

            connector = ProvenConnector(self.token)
        return aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=2**20)

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        """Convert errors of the transport into ArgosyErrors."""
        try:
            yield
        except aiohttp.InvalidURL as error:
            raise InvalidRequest(f"{self.url} is not an address; write it like http://127.0.0.1:8080.") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise (Stranger(self._stranger()) if _is_stranger(error) else NoFleet(self._nobody())) from error
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"The {self.name} at {self.url} did not answer within {self.timeout_s:.0f} s; see: {command('status')}"
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UpstreamFailed(
                f"The connection to {self.url} broke before the answer was complete; see: {command('status')}"
            ) from error

    def _stranger(self) -> str:
        return (
            f"The program that listens at {self.url} does not know this fleet's token, so nothing was sent to it. "
            "Give the fleet's folder with --data-dir. If the folder is right, another program has taken the port, or "
            f"the controller has an earlier version; restart the fleet with: {command('down')}, then {command('up')}"
        )

    def _nobody(self) -> str:
        if self.name == GATEWAY:
            return f"No fleet answers at {self.url}. Start one with: {command('up')}"
        see = command("status")
        return (
            f"No {self.name} answers at {self.url}. The fleet may serve requests without it (see: {see}). "
            f"Start it with: {command('up')}"
        )


async def _next(events: AsyncIterator[bytes]) -> bytes | None:
    return await anext(events, None)


def admin_api(fleet: FleetAddress, timeout_s: float = ADMIN_TIMEOUT_S) -> Api:
    """Return the controller's API.

    Raises: Forbidden when the token file cannot be read; StartError when it is not a file that the fleet made.
    """
    return Api(fleet.admin_url, fleet.token(), "controller", timeout_s)


def _is_stranger(error: Exception) -> bool:
    from argosy.clients.proven import NotOurs

    return isinstance(error, NotOurs)
