"""ASGI app of an internal service: the common routes, the service's own routes, and the middleware around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from argosy.contracts.codec import JSON, MSGPACK, decode, encode
from argosy.contracts.errors import CallerGone, DeadlineExceeded
from argosy.contracts.request import DEADLINE_HEADER, RequestContext
from argosy.serving.kit import Kit
from argosy.serving.middleware import ServiceMiddleware, context_of
from argosy.serving.proof import proof_route
from argosy.telemetry import metrics

M = TypeVar("M")
R = TypeVar("R")


def health_routes(kit: Kit) -> list[BaseRoute]:
    """Return the routes that every service has.

    `/livez` answers without any check. `/readyz` checks only this process. The controller reads `/internal/…`.
    """

    async def livez(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(request: Request) -> Response:
        reason = kit.readiness.reason()
        if reason:
            return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def metrics_text(request: Request) -> Response:
        return Response(kit.metrics.render(), media_type=metrics.CONTENT_TYPE)

    async def status(request: Request) -> Response:
        return Response(msgspec.json.encode(kit.status()), media_type=JSON)

    async def balance(request: Request) -> Response:
        return Response(msgspec.json.encode(kit.balance(request.query_params.get("service", ""))), media_type=JSON)

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", metrics_text),
        Route("/internal/status", status),
        Route("/internal/balance", balance),
        proof_route(kit.record.token),
    ]


class _Routes(Starlette):
    """Router without error handling: `ServiceMiddleware` is the only place that turns errors into responses."""

    def build_middleware_stack(self) -> ASGIApp:
        return self.router


def create_app(kit: Kit, routes: Iterable[BaseRoute]) -> ASGIApp:
    """Return the app of an internal service. All routes except probes and metrics require the fleet's token."""
    app = _Routes(routes=[*health_routes(kit), *routes])
    return ServiceMiddleware(app, kit, app.router)


def typed(
    path: str, message: type[M], work: Callable[[M, RequestContext], Awaitable[R]], *, method: str = "POST"
) -> Route:
    """Return a route that receives one message and answers with one.

    The work is cancelled when its deadline passes or its caller disconnects.
    """

    async def endpoint(request: Request) -> Response:
        context = context_of(request.scope)
        asked = decode(await request.body(), message, _body_type(request))
        answer = await until_gone(request, work(asked, context), context)
        wanted = JSON if JSON in request.headers.get("accept", "") else MSGPACK
        return Response(encode(answer, wanted), media_type=wanted)

    return Route(path, endpoint, methods=[method])


def typed_stream(
    path: str, message: type[M], work: Callable[[M, RequestContext], Awaitable[AsyncIterator[bytes]]]
) -> Route:
    """Return a route that receives one message and answers with a stream of lines.

    An error before the first line is answered with its own status.
    """

    async def endpoint(request: Request) -> Response:
        context = context_of(request.scope)
        asked = decode(await request.body(), message, _body_type(request))
        lines = await until_gone(request, work(asked, context), context)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    return Route(path, endpoint, methods=["POST"])


async def until_gone(request: Request, work: Awaitable[R], context: RequestContext) -> R:
    """Return the result of the work; cancel the work when the deadline passes or the caller disconnects first.

    Raises: DeadlineExceeded when the deadline passes first; CallerGone when the caller disconnects first.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        left_s = max(0.0, context.deadline.remaining_s())
        await asyncio.wait({task, gone}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise CallerGone("The caller disconnected.")
        raise DeadlineExceeded(
            f"The answer was not ready within the time allowed. Allow more with {DEADLINE_HEADER}, or ask for less."
        )
    finally:
        task.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _body_type(request: Request) -> str:
    return JSON if request.headers.get("content-type", "").startswith(JSON) else MSGPACK
