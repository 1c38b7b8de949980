"""One way to call a service: pick a replica, pass the deadline on, retry once elsewhere, give errors back as ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import aiohttp

from argosy.clients.directory import Directory
from argosy.contracts.codec import JSON, MSGPACK, decode, encode
from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Unavailable, UpstreamFailed, error_from_wire
from argosy.contracts.fleet import Endpoint
from argosy.contracts.request import RequestContext
from argosy.telemetry.logs import logger

T = TypeVar("T")
ATTEMPTS = 2
MAX_LINE_BYTES = 2**22

log = logger("transport")


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A service's answer as it came, to be passed on."""

    status: int
    body: bytes
    content_type: str
    retry_after: str | None


class Transport:
    def __init__(self, directory: Directory, session: aiohttp.ClientSession, token: str) -> None:
        self._directory = directory
        self._session = session
        self._authorization = {"authorization": f"Bearer {token}"}

    async def call(
        self,
        service: str,
        path: str,
        message: object,
        into: type[T],
        context: RequestContext,
        *,
        method: str = "POST",
        idempotent: bool = True,
    ) -> T:
        """Sends one message, returns one.

        A refused or reset connection is tried once more, on another replica where there is one, when the call
        is idempotent or was never sent.
        Raises: the service's own error; Unavailable; DeadlineExceeded.
        """
        headers = {"content-type": MSGPACK, "accept": MSGPACK}
        async with self._open(service, path, method, encode(message), headers, context, idempotent) as response:
            body = await response.read()
        return decode(body, into)

    @contextlib.asynccontextmanager
    async def stream(
        self, service: str, path: str, message: object, context: RequestContext
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Sends one message, gives the lines of the answer as they come. A broken stream raises UpstreamFailed."""
        headers = {"content-type": MSGPACK}
        async with self._open(service, path, "POST", encode(message), headers, context, True) as response:
            yield _lines(response, service)

    async def forward(
        self,
        service: str,
        path: str,
        method: str,
        context: RequestContext,
        *,
        body: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> RawResponse:
        """Passes a request on and gives the answer back as it is, errors included.

        Only a request without a streamed body is tried again.
        """
        replayable = body is None or isinstance(body, bytes)
        sent = {"accept": JSON, **(headers or {})}
        async with self._open(
            service, path, method, body, sent, context, replayable, raise_errors=False, params=params
        ) as response:
            return RawResponse(
                response.status, await response.read(), response.content_type, response.headers.get("retry-after")
            )

    @contextlib.asynccontextmanager
    async def _open(
        self,
        service: str,
        path: str,
        method: str,
        body: bytes | AsyncIterator[bytes] | None,
        headers: Mapping[str, str],
        context: RequestContext,
        replayable: bool,
        *,
        raise_errors: bool = True,
        params: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        balancer = self._directory.balancer(service)
        failed: list[str] = []
        async with contextlib.AsyncExitStack() as stack:
            while True:
                left_s = context.deadline.require(f"the {service} service was asked")
                attempt = await stack.enter_async_context(contextlib.AsyncExitStack())
                endpoint: Endpoint = attempt.enter_context(balancer.lease(avoid=failed))
                try:
                    async with asyncio.timeout(left_s):
                        response = await attempt.enter_async_context(
                            self._session.request(
                                method,
                                f"{endpoint.url}{path}",
                                data=body,
                                params=params,
                                headers={**self._authorization, **context.headers(), **headers},
                                timeout=aiohttp.ClientTimeout(total=left_s),
                            )
                        )
                        if raise_errors and response.status >= 400:
                            raise _error(response, await response.read(), service)
                        break
                except aiohttp.ClientConnectorError as error:
                    await attempt.aclose()
                    self._note(service, endpoint, failed, error, again=True)
                except aiohttp.ClientConnectionError as error:
                    await attempt.aclose()
                    self._note(service, endpoint, failed, error, again=replayable)
                except TimeoutError as error:
                    raise DeadlineExceeded(f"The {service} service did not answer within the time allowed.") from error
            try:
                yield response
            except aiohttp.ClientError as error:
                raise UpstreamFailed(f"The {service} service broke off its answer.") from error
            except TimeoutError as error:
                raise DeadlineExceeded(f"The {service} service did not finish within the time allowed.") from error

    def _note(self, service: str, endpoint: Endpoint, failed: list[str], error: Exception, *, again: bool) -> None:
        """Remembers a replica that could not be reached. Raises: Unavailable when this was the last attempt."""
        failed.append(endpoint.id)
        log.warning("connection failed", to=service, endpoint=endpoint.id, error=type(error).__name__, again=again)
        if not again or len(failed) >= ATTEMPTS:
            raise Unavailable(f"The {service} service cannot be reached now.", retry_after_s=1.0) from error


async def _lines(response: aiohttp.ClientResponse, service: str) -> AsyncIterator[bytes]:
    pending = b""
    try:
        async for data in response.content.iter_any():
            *whole, pending = (pending + data).split(b"\n")
            for line in whole:
                yield line
            if len(pending) > MAX_LINE_BYTES:
                raise UpstreamFailed(f"The {service} service sent a line over {MAX_LINE_BYTES} bytes.")
    except aiohttp.ClientError as error:
        raise UpstreamFailed(f"The {service} service broke off its answer.") from error
    except TimeoutError as error:
        raise DeadlineExceeded(f"The {service} service did not finish within the time allowed.") from error
    if pending:
        yield pending


def _error(response: aiohttp.ClientResponse, body: bytes, service: str) -> ArgosyError:
    after = response.headers.get("retry-after", "")
    return error_from_wire(response.status, body, service, float(after) if after.isdigit() else None)
