"""Route `/services/NAME/…` to custom services. Requests and responses are streamed.

The route is a plain ASGI endpoint in front of the FastAPI routes: requests are not parsed or validated, no other route
is tried first, and a response that has arrived completely is sent in one write without a task of its own.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote_from_bytes

import aiohttp
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from argosy.contracts.errors import NotFound, UpstreamFailed
from argosy.services.gateway.caller_stream import CallerStream
from argosy.services.gateway.gateway import Gateway
from argosy.services.gateway.hop_headers import Header, body_length, request_headers, response_headers
from argosy.serving.middleware import context_of

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
PREFIX = b"services"
MAX_NAME_SHOWN = 40
_ESCAPED_ALREADY = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "#")


def route(gateway: Gateway) -> Route:
    return Route("/services/{name}/{path:path}", _PassOn(gateway), methods=METHODS, include_in_schema=False)


class CustomFirst:
    """ASGI app that hands requests for `/services/NAME/…` to `route` before the routes of `app`.

    A request with a method outside METHODS goes to `app`, which answers that the method is wrong.
    """

    def __init__(self, app: ASGIApp, route: Route) -> None:
        self._app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in METHODS or _addressed(scope) is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        await self._route.handle(scope, receive, send)


class _PassOn:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._known = gateway.kit.fleet.services.custom()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, path = _addressed(scope) or ("", "")
        if name not in self._known:
            there = ", ".join(self._known) or "none"
            raise NotFound(f'There is no service "{name[:MAX_NAME_SHOWN]}" of your own; there are: {there}.')
        caller = CallerStream(receive)
        length = body_length(scope["headers"])
        if length == 0:
            caller.without_body()
        async with self._gateway.upstream.transport.proxy(
            name,
            path,
            scope["method"],
            context_of(scope),
            body=None if length == 0 else caller.pieces(),
            length=length,
            headers=request_headers(self._without_the_fleets_token(scope["headers"])),
            query=_escaped(scope["query_string"]),
        ) as answer:
            if not 200 <= answer.status < 600:
                raise UpstreamFailed(
                    f"The {name} service answered with status {answer.status}. Correct it to answer with 200 to 599."
                )
            # Content-Length is passed on unchanged: a response to HEAD has a length but no body.
            headers = response_headers(answer.raw_headers, answer.status)
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            if answer.content.is_eof():  # the whole body arrived with the headers
                await send({"type": "http.response.body", "body": answer.content.read_nowait()})
            else:
                await _until_gone(caller, answer, send)

    def _without_the_fleets_token(self, headers: list[Header]) -> list[Header]:
        """Drop the fleet's token, which opens every internal route; other credentials of the caller are passed on."""
        is_fleet = self._gateway.kit.defences.is_fleet
        return [
            (name, value)
            for name, value in headers
            if name.lower() != b"authorization" or not is_fleet({"authorization": value.decode("latin-1")})
        ]


async def _until_gone(caller: CallerStream, answer: aiohttp.ClientResponse, send: Send) -> None:
    """Send the response piece by piece; stop when the caller hangs up.

    Raises: aiohttp.ClientError when the response breaks off.
    """
    sending = asyncio.create_task(_send_pieces(answer, send))
    gone = asyncio.create_task(caller.gone())
    try:
        await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        sending.cancel()
        gone.cancel()
        await asyncio.gather(sending, gone, return_exceptions=True)


async def _send_pieces(answer: aiohttp.ClientResponse, send: Send) -> None:
    async for piece in answer.content.iter_any():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _addressed(scope: Scope) -> tuple[str, str] | None:
    """Return the service's name and the path after it, as they were sent; None for any other path.

    The path is split before it is decoded: an escaped slash is part of the name or of a segment and never separates
    them.
    """
    raw: bytes = scope.get("raw_path") or quote_from_bytes(scope["path"].encode()).encode()
    parts = raw.partition(b"?")[0].split(b"/", 3)
    if len(parts) != 4 or parts[:2] != [b"", PREFIX]:
        return None
    return parts[2].decode("latin-1"), f"/{_escaped(parts[3])}"


def _escaped(raw: bytes) -> str:
    """Escape bytes that a URL may not contain, as browsers do; leave all other bytes as they were sent."""
    return quote_from_bytes(raw, safe=_ESCAPED_ALREADY)
