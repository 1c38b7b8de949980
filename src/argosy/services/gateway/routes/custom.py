"""`/services/NAME/…`: the way to services of the user's own. Requests and answers pass as they are, streamed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from argosy.contracts.errors import NotFound
from argosy.services.gateway.gateway import Gateway
from argosy.serving.middleware import context_of

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
BODYLESS = frozenset({"GET", "HEAD", "OPTIONS"})
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "server",
        "date",
    }
)
OURS = ("x-argosy-", "endpoint-load-metrics", "x-request-id")


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["services"])
    known = gateway.kit.fleet.services.custom()

    @routes.api_route("/services/{name}/{path:path}", methods=METHODS, include_in_schema=False)
    async def pass_on(request: Request, name: str) -> Response:
        if name not in known:
            there = ", ".join(known) or "none"
            raise NotFound(f'There is no service "{name[:40]}" of your own; there are: {there}.')
        body = None if request.method in BODYLESS else request.stream()
        stack = contextlib.AsyncExitStack()
        answer = await stack.enter_async_context(
            gateway.upstream.transport.proxy(
                name,
                _raw_tail(request, name),
                request.method,
                context_of(request.scope),
                body=body,
                headers=_passed_on(request.headers.items()),
                query=request.url.query,
            )
        )

        async def pieces() -> AsyncIterator[bytes]:
            async with stack:
                async for piece in answer.content.iter_any():
                    yield piece

        response = StreamingResponse(pieces(), answer.status)
        response.raw_headers = [
            (key.lower().encode("latin-1"), value.encode("latin-1"))
            for key, value in _passed_on(answer.headers.items())
        ]
        return response

    return routes


def _passed_on(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """All but those that belong to one connection, and our own. A name may stand there more than once."""
    return [
        (name, value) for name, value in headers if name.lower() not in HOP_BY_HOP and not name.lower().startswith(OURS)
    ]


def _raw_tail(request: Request, name: str) -> str:
    """The path behind `/services/NAME` as it was sent: what is escaped in it stays escaped."""
    raw = request.scope.get("raw_path", request.scope["path"].encode()).partition(b"?")[0].decode("latin-1")
    return str(raw.removeprefix(f"/services/{name}")) or "/"
