"""What happens to every request of every service, in this order: request id, defences, deadline, admission,
then the service; on the way out the load report, the error shape, the metrics."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from starlette.routing import Match, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from argosy.contracts.errors import ArgosyError, InvalidRequest, Overloaded, TooLarge, Unavailable
from argosy.contracts.request import (
    DEADLINE_HEADER,
    LOAD_HEADER,
    PRIORITY_HEADER,
    REQUEST_ID_HEADER,
    STRATEGY_HEADER,
    TRACEPARENT_HEADER,
    Deadline,
    Priority,
    RequestContext,
)
from argosy.serving.admission import Asked
from argosy.serving.defences import OPEN_PATHS, headers_of
from argosy.serving.errors import as_argosy_error, error_response
from argosy.serving.kit import Kit
from argosy.telemetry.logs import logger

CONTEXT_KEY = "argosy.context"
BODY_KEY = "argosy.body"
MAX_DEADLINE_DIGITS = 12
PRIVATE_PREFIX = b"x-argosy-"
SAFE_REQUEST_ID = re.compile(r"^[A-Za-z0-9._:-]{1,128}$")
TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
OVERLOAD_STATUSES = (429, 503, 504)
UNCOUNTED = OPEN_PATHS | {"/internal/status", "/internal/balance"}

log = logger("serving")


def context_of(scope: Scope) -> RequestContext:
    """The request's context, put there by `ServiceMiddleware`."""
    context: RequestContext = scope[CONTEXT_KEY]
    return context


def body_of(scope: Scope) -> IncomingBody:
    """The request's body, put there by `ServiceMiddleware`."""
    body: IncomingBody = scope[BODY_KEY]
    return body


class ServiceMiddleware:
    """Outermost ASGI layer of a service. Probes and metrics pass the defences but count as no load."""

    def __init__(self, app: ASGIApp, kit: Kit, router: Router) -> None:
        self._app = app
        self._kit = kit
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope["headers"])
        request_id = request_id_of(headers)
        path: str = scope["path"]
        counted = path not in UNCOUNTED
        exchange = _Exchange(send, request_id, self._kit, counted)
        load = self._kit.load
        started_s = load.begin() if counted else 0.0
        asked: Asked | None = None
        try:
            refusal = self._kit.defences.check(scope["method"], path, headers)
            if refusal is not None:
                raise refusal
            self._prepare(scope, headers, request_id)
            if counted:
                asked = self._kit.admission.admit(path, context_of(scope), load.in_flight - 1, load.latency_ms)
            limit = IncomingBody(receive, self._kit.defences.max_body_bytes)
            scope[BODY_KEY] = limit
            await self._app(scope, limit, exchange)
        except Exception as error:
            await self._fail(error, exchange, scope, receive)
        finally:
            if counted:
                elapsed_s = load.end(started_s, exchange.status)
                if asked is not None:
                    self._kit.admission.answered(
                        asked, exchange.status, exchange.begun_s - started_s, load.in_flight + 1
                    )
                load.overloaded += exchange.status in OVERLOAD_STATUSES and not exchange.lacks_another
                self._kit.metrics.in_flight.set(load.in_flight)
                self._kit.metrics.observe(self._route(scope), exchange.status, elapsed_s)

    def _prepare(self, scope: Scope, headers: dict[str, str], request_id: str) -> None:
        """Sets the context; what an outsider says about our own headers is dropped or clamped."""
        kit = self._kit
        trusted = kit.defences.is_fleet(headers)
        timeout_s = kit.timeout_s(scope["path"])
        asked = headers.get(DEADLINE_HEADER)
        if asked is not None:
            if not (asked.isascii() and asked.isdigit() and len(asked) <= MAX_DEADLINE_DIGITS):
                raise InvalidRequest(f"{DEADLINE_HEADER} is not a whole number of milliseconds.", param=DEADLINE_HEADER)
            longest_s = float("inf") if trusted else kit.fleet.services.gateway.max_timeout_s
            timeout_s = min(int(asked) / 1000, longest_s)
        bulk = headers.get(PRIORITY_HEADER) == Priority.BULK
        traceparent = headers.get(TRACEPARENT_HEADER, "")
        scope[CONTEXT_KEY] = RequestContext(
            request_id=request_id,
            deadline=Deadline.after(timeout_s, kit.clock),
            priority=Priority.BULK if bulk else Priority.INTERACTIVE,
            traceparent=traceparent if TRACEPARENT.match(traceparent) else None,
            strategy=headers.get(STRATEGY_HEADER) if trusted else None,
        )
        if not trusted:
            scope["headers"] = [pair for pair in scope["headers"] if not pair[0].startswith(PRIVATE_PREFIX)]

    async def _fail(self, error: Exception, exchange: _Exchange, scope: Scope, receive: Receive) -> None:
        ours = as_argosy_error(error)
        if not isinstance(error, ArgosyError) and ours.status >= 500:
            log.error("request failed", path=scope["path"], request_id=exchange.request_id, exc_info=error)
        exchange.lacks_another = isinstance(ours, Unavailable)
        if isinstance(ours, Overloaded):
            self._kit.load.rejected += 1
        if ours.status in (401, 403, 413, 415, 421, 429):
            self._kit.metrics.count_rejected(ours.code)
        if exchange.started:
            # Too late for a status: cutting the connection tells the caller that the answer is not whole.
            raise error
        await error_response(ours, exchange.request_id)(scope, receive, exchange)

    def _route(self, scope: Scope) -> str:
        """The route's pattern, never the path as sent: labels stay bounded."""
        route = scope.get("route")
        pattern = getattr(route, "path", None)
        if isinstance(pattern, str):
            return pattern
        for candidate in self._router.routes:
            if candidate.matches(scope)[0] is not Match.NONE:
                return str(getattr(candidate, "path", "other"))
        return "other"


class _Exchange:
    """The way out: adds the headers every response carries and remembers the status."""

    def __init__(self, send: Send, request_id: str, kit: Kit, counted: bool) -> None:
        self._send = send
        self._counted = counted
        self._kit = kit
        self.request_id = request_id
        self.status = 500
        self.started = False
        self.begun_s = 0.0
        """When the answer began, by the kit's clock."""
        self.lacks_another = False
        """Whether it failed because a service that it needs is not there: more replicas would not cure that."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.begun_s = self._kit.clock()
            self.status = message["status"]
            kept = []
            for name, value in message.get("headers", ()):
                if name.lower() == LOAD_HEADER.encode():
                    self._kit.load.take_named(value.decode("latin-1"))
                else:
                    kept.append((name, value))
            message["headers"] = [
                *kept,
                (REQUEST_ID_HEADER.encode(), self.request_id.encode()),
                (LOAD_HEADER.encode(), self._kit.load.header(besides=int(self._counted)).encode()),
            ]
        await self._send(message)


class IncomingBody:
    """A request's body on its way in: bounded also when it came without a length, and known to be over or not."""

    def __init__(self, receive: Receive, limit_bytes: int) -> None:
        self._receive = receive
        self._left = limit_bytes
        self._limit = limit_bytes
        self._over = False

    async def drain(self) -> None:
        """Reads and drops what is left of it, so that a sender who was refused can read the answer."""
        while not self._over:
            self._over = (await self._receive()).get("more_body", False) is False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._over = not message.get("more_body", False)
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise TooLarge(f"The body is over the limit of {self._limit} bytes. Send less at once.")
        return message


def request_id_of(headers: Mapping[str, str]) -> str:
    """The caller's own where it is fit for logs, else a new one."""
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if SAFE_REQUEST_ID.match(given) else uuid.uuid4().hex
