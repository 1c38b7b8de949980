"""`/services/NAME/…`: the way to services of the user's own. Requests and answers pass as they are, streamed.

A plain ASGI endpoint in front of the FastAPI routes rather than one of them: nothing of a request is parsed or
validated here, no other route is tried first, and an answer that is there whole leaves in one write without a task of
its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import aiohttp
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from argosy.contracts.errors import NotFound
from argosy.services.gateway.gateway import Gateway
from argosy.serving.middleware import context_of

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
BODYLESS = frozenset({"GET", "HEAD", "OPTIONS"})
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"host",
        b"server",
        b"date",
    }
)
OURS = (b"x-argosy-", b"endpoint-load-metrics", b"x-request-id")

Header = tuple[bytes, bytes]


def route(gateway: Gateway) -> Route:
    return Route("/services/{name}/{path:path}", _PassOn(gateway), methods=METHODS, include_in_schema=False)


class CustomFirst:
    """Before the other routes: what `route` takes never passes them. All else, a wrong method too, is theirs."""

    def __init__(self, app: ASGIApp, route: Route) -> None:
        self._app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match, found = self._route.matches(scope)
        if match is not Match.FULL:
            await self._app(scope, receive, send)
            return
        scope.update(found, route=self._route)
        await self._route.handle(scope, receive, send)


class _PassOn:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._known = gateway.kit.fleet.services.custom()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name: str = scope["path_params"]["name"]
        if name not in self._known:
            there = ", ".join(self._known) or "none"
            raise NotFound(f'There is no service "{name[:40]}" of your own; there are: {there}.')
        method: str = scope["method"]
        async with self._gateway.upstream.transport.proxy(
            name,
            _raw_tail(scope, name),
            method,
            context_of(scope),
            body=None if method in BODYLESS else Request(scope, receive).stream(),
            headers=[(key.decode("latin-1"), value.decode("latin-1")) for key, value in _passed_on(scope["headers"])],
            query=scope["query_string"].decode("latin-1"),
        ) as answer:
            # As it was sent: the length too, which a HEAD names without a body.
            headers = _passed_on(answer.raw_headers)
            if answer.content.is_eof():  # all of it came with its head
                await send({"type": "http.response.start", "status": answer.status, "headers": headers})
                await send({"type": "http.response.body", "body": answer.content.read_nowait()})
                return
            response = StreamingResponse(_pieces(answer), answer.status)
            response.raw_headers = headers
            await response(scope, receive, send)


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for piece in answer.content.iter_any():
        yield piece


def _passed_on(headers: Iterable[Header]) -> list[Header]:
    """All but those that belong to one connection, and our own. A name may stand there more than once."""
    lowered = [(name.lower(), value) for name, value in headers]
    return [header for header in lowered if header[0] not in HOP_BY_HOP and not header[0].startswith(OURS)]


def _raw_tail(scope: Scope, name: str) -> str:
    """The path behind `/services/NAME` as it was sent: what is escaped in it stays escaped."""
    raw = scope.get("raw_path", scope["path"].encode()).partition(b"?")[0].decode("latin-1")
    return str(raw.removeprefix(f"/services/{name}")) or "/"
