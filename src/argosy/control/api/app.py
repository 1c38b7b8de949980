"""Admin API. It listens on loopback, and every route except the open ones still needs the fleet's token."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

import msgspec
from fastapi import Query
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from argosy.config.models import Fleet
from argosy.contracts.codec import JSON
from argosy.contracts.documents import IngestionReport
from argosy.contracts.errors import ArgosyError, InvalidRequest, NotFound
from argosy.contracts.events import EventPage
from argosy.contracts.fleet import EndpointSet, FleetView, Health, ServiceView, StartReport
from argosy.contracts.forecast import ForecastPage
from argosy.contracts.history import HistoryPage
from argosy.contracts.request import REQUEST_ID_HEADER
from argosy.contracts.strict_json import printable
from argosy.control.api.balance import add_balance_route
from argosy.control.api.description import EVENT_STREAM, METRICS_TYPE, AdminApp, admin_description
from argosy.control.api.plan import add_plan_routes
from argosy.control.api.prometheus import TargetGroup, target_groups
from argosy.control.api.scaling import add_scaling_routes
from argosy.control.controller import Controller
from argosy.control.monitoring.cache import CacheAnalytics, cache_analytics
from argosy.control.monitoring.ingestion import ingestion_report, window_seconds
from argosy.serving.defences import Defences, headers_of
from argosy.serving.errors import as_argosy_error, error_response
from argosy.serving.middleware import IncomingBody
from argosy.serving.openapi import EVENT, TEXT
from argosy.serving.proof import proof_route
from argosy.serving.refusal import rule_of
from argosy.serving.request_id import request_id_of
from argosy.serving.waiting import Waiters
from argosy.telemetry.logs import REQUEST_ID, logger
from argosy.telemetry.metrics import CONTENT_TYPE, FleetMetrics
from argosy.version import VERSION

WATCH_S = 25.0
FOLLOW_BATCH = 200
MAX_WAITING = 2048
"""Most callers that may wait at once. It is above the largest fleet: each replica waits for the next endpoint set."""

log = logger("admin")


def create_admin_app(controller: Controller, token: str, waiters: Waiters | None = None) -> ASGIApp:
    """Create the application of the admin API.

    Args:
        token: token of the fleet.
        waiters: bounds long polls and followed streams. Once it is ended, they answer at once.
    """
    waiters = waiters or Waiters(MAX_WAITING, "admin API")
    api = admin_description(controller.fleet.services.by_name())
    app = AdminApp(api, title="Argosy admin", version=VERSION, docs_url=None, redoc_url=None)
    described = api.route
    metrics = FleetMetrics()

    @app.get("/livez", openapi_extra=described({200: dict[str, str]}))
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", openapi_extra=described({200: dict[str, str], 503: dict[str, str]}))
    async def readyz() -> Response:
        """Answer 200 when the start is finished, whatever its result, until supervision ends; 503 otherwise."""
        finished, (health, reason) = controller.start_report().finished, controller.health()
        if health is Health.UNHEALTHY:
            return _json({"status": "failed", "reason": reason}, 503)
        status = "ready" if finished else "starting"
        return _json({"status": status, **({"degraded": reason} if reason else {})}, 200 if finished else 503)

    @app.get("/metrics", response_class=PlainTextResponse, openapi_extra=described({200: {METRICS_TYPE: TEXT}}))
    async def metrics_text() -> Response:
        usage = await controller.usage()
        return Response(metrics.render(controller.view(), controller.scaler.views(), usage), media_type=CONTENT_TYPE)

    @app.get("/v1/prometheus/targets", openapi_extra=described({200: list[TargetGroup]}))
    async def prometheus_targets(request: Request) -> Response:
        """Return the addresses of all `/metrics` pages, in the format of Prometheus' HTTP service discovery."""
        return _json(target_groups(controller.callers(), request.headers["host"]))

    @app.get("/v1/fleet", openapi_extra=described({200: FleetView}))
    async def fleet() -> Response:
        return _json(controller.view())

    @app.get("/v1/services/{name}", openapi_extra=described({200: ServiceView}))
    async def service(name: str) -> Response:
        return _json(controller.service(name))

    @app.get("/v1/start", openapi_extra=described({200: StartReport}))
    async def start() -> Response:
        """Return the report of the latest start, service by service."""
        return _json(controller.start_report())

    @app.get("/v1/endpoints", openapi_extra=described({200: EndpointSet, 204: None}))
    async def endpoints(watch: str | None = Query(None, max_length=64)) -> Response:
        """Return the endpoint set as soon as its version is not `watch`; 204 when nothing changed within 25 s."""
        with waiters.waiting() if watch is not None else contextlib.nullcontext():
            current = await waiters.unless_ending(controller.publisher.newer_than(watch, WATCH_S), _nothing)
        return Response(status_code=204) if current is None else _json(current)

    @app.get("/v1/events", openapi_extra=described({200: {JSON: EventPage, EVENT_STREAM: EVENT}}))
    async def events(
        since: int = Query(0, ge=0, le=2**62),
        limit: int = Query(200, ge=1, le=1000),
        subject: str | None = Query(None, max_length=256),
        follow: int = Query(0, ge=0, le=1),
    ) -> Response:
        """Return transitions after `since`, oldest first; with `?follow=1` as a stream of server-sent events."""
        if follow:
            return _Followed(_follow(controller, since, subject, waiters), waiters)
        return _json(controller.feed.page(since, limit, subject))

    @app.get("/v1/analytics/ingestion", openapi_extra=described({200: IngestionReport}, (503,)))
    async def ingestion(window: str = Query("1h", max_length=16)) -> Response:
        """Return the documents processed within the window, errors by code, time by stage, and the present queue."""
        services = {view.name: view for view in controller.view().services}
        replicas = services["documents"].replicas
        unproven = {replica.id for replica in controller.callers() if not replica.proves}
        return _json(await ingestion_report(replicas, token, window_seconds(window), unproven))

    @app.post(
        "/v1/services/{name}/replicas/{replica_id}/drain", openapi_extra=described({200: dict[str, str]}, (409, 503))
    )
    async def drain(name: str, replica_id: str) -> Response:
        """Replace a replica without a failed request. The answer comes when the old replica is gone."""
        if not replica_id.startswith(f"{name}-"):
            raise NotFound(
                f'There is no replica "{replica_id[:64]}" of "{name[:64]}"; see the replicas with: argosy status'
            )
        await controller.drain(replica_id)
        return _json({"drained": replica_id})

    @app.get("/v1/analytics/cache", openapi_extra=described({200: CacheAnalytics}))
    async def cache() -> Response:
        """Return hits, misses, sizes and savings of the embedding cache, summed over all replicas."""
        return _json(cache_analytics(controller.view()))

    @app.get("/v1/forecast", openapi_extra=described({200: ForecastPage}, (404, 503)))
    async def forecast(service: str | None = Query(None, max_length=64)) -> Response:
        """Return for each service its load forecast, the record of earlier forecasts, and its learnt capacity."""
        return _json(await controller.forecaster.view(service))

    @app.get("/v1/services/{name}/history", openapi_extra=described({200: HistoryPage}, (503,)))
    async def past(
        name: str, window: str = Query("1h", max_length=16), measure: str | None = Query(None, max_length=32)
    ) -> Response:
        """Return the recorded measures of the service and of each of its replicas, at most 1,440 points each."""
        return _json(await controller.forecaster.past(name, window_seconds(window), measure))

    app.router.routes.append(proof_route(token))
    add_balance_route(app, api, controller, token)
    add_scaling_routes(app, api, controller.scaler, controller.advice)
    add_plan_routes(app, api, controller.plans)

    @app.get("/v1/config", openapi_extra=described({200: Fleet}))
    async def config() -> Response:
        """Return the settings in force. They hold no secrets, because secrets stay in the environment."""
        return Response(controller.fleet.model_dump_json(), media_type=JSON)

    return _Guard(app, token)


class _Guard:
    """Outermost layer of the admin API: loopback defences, request ids and the shape of errors."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._defences = Defences(token, frozenset({"127.0.0.1", "localhost", "::1"}), max_body_bytes=2**20)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = headers_of(scope["headers"])
        request_id = request_id_of(headers)
        named = REQUEST_ID.set(request_id)
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER.encode(), request_id.encode())]
            await send(message)

        try:
            refusal = self._defences.check(scope["method"], scope["path"], headers)
            if refusal is not None:
                raise refusal
            await self._app(scope, IncomingBody(receive, self._defences.max_body_bytes), sending)
        except Exception as error:
            ours = _as_ours(error)
            if ours.status >= 500:
                log.error("admin request failed", path=scope["path"], exc_info=error)
            if started:
                raise
            await error_response(ours, request_id)(scope, receive, sending)
        finally:
            REQUEST_ID.reset(named)


class _Followed(StreamingResponse):
    """Stream that counts as a waiter until it ends, however it ends."""

    def __init__(self, source: AsyncGenerator[bytes, None], waiters: Waiters) -> None:
        super().__init__(source, media_type="text/event-stream")
        self._source = source
        self._waiters = waiters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._waiters.waiting():
            async with contextlib.aclosing(self._source):
                await super().__call__(scope, receive, send)


async def _nothing() -> None:
    return None


def _as_ours(error: Exception) -> ArgosyError:
    if not isinstance(error, RequestValidationError):
        return as_argosy_error(error)
    first = error.errors()[0]
    name = printable(str(first["loc"][-1]))
    return InvalidRequest(f"{name}: {rule_of(first)}.", param=name)


async def _follow(
    controller: Controller, since: int, subject: str | None, waiters: Waiters
) -> AsyncGenerator[bytes, None]:
    """Yield a server-sent event for each transition, and a comment after WATCH_S without one to keep the stream."""
    while not waiters.ending.is_set():
        page = controller.feed.page(since, FOLLOW_BATCH, subject)
        for event in page.events:
            yield b"id: %d\ndata: %s\n\n" % (event.seq, msgspec.json.encode(event))
        since = page.next
        if page.events:
            continue
        if not await waiters.unless_ending(controller.feed.wait_beyond(since, WATCH_S), _nothing):
            yield b": still here\n\n"


def _json(message: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(message), status_code=status, media_type=JSON)
