"""Middleware of every service, in this order: request id, defences, deadline, admission, then the service.

The answer gets the load report, errors get their common format, and metrics are recorded.
"""

from __future__ import annotations

import re

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
from argosy.serving.defences import OPEN_PATHS, headers_of
from argosy.serving.errors import as_argosy_error, error_response
from argosy.serving.held_bytes import HeldBytes
from argosy.serving.kit import Kit
from argosy.serving.request_id import request_id_of
from argosy.serving.slot import Slot
from argosy.telemetry.access_log import Served
from argosy.telemetry.logs import REQUEST_ID, logger

CONTEXT_KEY = "argosy.context"
BODY_KEY = "argosy.body"
SLOT_KEY = "argosy.slot"
MAX_DEADLINE_DIGITS = 12
PRIVATE_PREFIX = b"x-argosy-"
TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
OVERLOAD_STATUSES = (429, 503, 504)
UNCOUNTED = OPEN_PATHS | {"/internal/status", "/internal/balance"}

log = logger("serving")


def context_of(scope: Scope) -> RequestContext:
    """Return the request's context, which `ServiceMiddleware` has stored."""
    context: RequestContext = scope[CONTEXT_KEY]
    return context


def body_of(scope: Scope) -> IncomingBody:
    """Return the request's body, which `ServiceMiddleware` has stored."""
    body: IncomingBody = scope[BODY_KEY]
    return body


def becomes_waiter(scope: Scope) -> None:
    """Count the request as a waiter, which only waits for a change, until its end.

    Raises: Overloaded when too many requests wait already.
    """
    slot: Slot | None = scope[SLOT_KEY]
    if slot is not None:
        slot.wait()


class ServiceMiddleware:
    """Outermost ASGI layer of a service. Probes and metrics pass the defences but do not count as load."""

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
        named = REQUEST_ID.set(request_id)
        path: str = scope["path"]
        counted = path not in UNCOUNTED
        kit, load = self._kit, self._kit.load
        slot = Slot(load, kit.admission, kit.waiters, kit.clock) if counted else None
        exchange = _Exchange(send, request_id, kit, slot)
        body: IncomingBody | None = None
        try:
            refusal = kit.defences.check(scope["method"], path, headers)
            if refusal is not None:
                raise refusal
            self._prepare(scope, headers, request_id)
            if slot is not None:
                slot.admit(path, context_of(scope))
            comes = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
            body = IncomingBody(receive, kit.defences.max_body_bytes, slot if comes else None, kit.held)
            scope[BODY_KEY], scope[SLOT_KEY] = body, slot
            await self._app(scope, body, exchange)
        except Exception as error:
            await self._fail(error, exchange, scope, receive)
        finally:
            if body is not None:
                body.release()
            if slot is not None:
                elapsed_s = slot.end(exchange.status, exchange.begun_s)
                if exchange.status in OVERLOAD_STATUSES:
                    load.overloaded += not (exchange.lacks_another or slot.is_waiter or slot.wait_refused)
                self._kit.metrics.in_flight.set(load.in_flight)
                route = self._route(scope)
                kit.metrics.observe(route, exchange.status, elapsed_s)
                kit.served(Served(scope["method"], path, route, exchange.status, elapsed_s, request_id, slot.is_waiter))
            REQUEST_ID.reset(named)

    def _prepare(self, scope: Scope, headers: dict[str, str], request_id: str) -> None:
        """Store the request's context. Argosy's own headers are dropped or limited when the caller has no token."""
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
        if isinstance(ours, Overloaded) and not (exchange.slot and exchange.slot.wait_refused):
            self._kit.load.rejected += 1
        if ours.status in (401, 403, 413, 415, 421, 429):
            self._kit.metrics.count_rejected(ours.code)
        if exchange.started:
            # The status is already sent: closing the connection tells the caller that the answer is incomplete.
            raise error
        await error_response(ours, exchange.request_id)(scope, receive, exchange)

    def _route(self, scope: Scope) -> str:
        """Return the pattern of the route. The path as sent would make the number of metric labels unbounded."""
        route = scope.get("route")
        pattern = getattr(route, "path", None)
        if isinstance(pattern, str):
            return pattern
        for candidate in self._router.routes:
            if candidate.matches(scope)[0] is not Match.NONE:
                return str(getattr(candidate, "path", "other"))
        return "other"


class _Exchange:
    """Sender of the answer, which adds the headers of every response and records the status."""

    def __init__(self, send: Send, request_id: str, kit: Kit, slot: Slot | None) -> None:
        self._send = send
        self.slot = slot
        self._kit = kit
        self.request_id = request_id
        self.status = 500
        self.started = False
        self.begun_s = 0.0
        """Start time of the answer by the kit's clock."""
        self.lacks_another = False
        """Whether it failed because a required service is unavailable; more replicas would not help."""

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
                (LOAD_HEADER.encode(), self._kit.load.header(besides=self._besides()).encode()),
            ]
        await self._send(message)

    def _besides(self) -> int:
        """Return 1 when this request is counted as in flight, else 0."""
        return int(self.slot is not None and self.slot.is_held)


class IncomingBody:
    """Incoming body of a request, bounded even without a Content-Length; it records whether the body is complete.

    While the next piece has not arrived, the request does not count as in flight: a slow sender occupies only a
    connection. Admission is checked again once the body is complete.
    """

    def __init__(
        self, receive: Receive, limit_bytes: int, slot: Slot | None = None, held: HeldBytes | None = None
    ) -> None:
        self._receive = receive
        self._slot = slot
        self._held = held
        self._size = 0
        self._left = limit_bytes
        self._limit = limit_bytes
        self._over = False

    def release(self) -> None:
        """Release the bytes that are counted for this body."""
        if self._held is not None and self._size:
            self._held.remove(self._size)
            self._size = 0

    async def drain(self) -> None:
        """Read and drop the rest, up to the limit again, so that a refused sender can read the answer."""
        dropped = 0
        while not self._over and dropped <= self._limit:
            dropped += len((await self._next()).get("body", b""))

    async def _next(self) -> Message:
        slot = self._slot
        if slot is None or self._over:
            message = await self._receive()
        else:
            slot.step_out()
            try:
                message = await self._receive()
            finally:
                slot.step_in()
        self._over = not message.get("more_body", False)
        return message

    async def __call__(self) -> Message:
        was_over = self._over
        message = await self._next()
        if message["type"] == "http.request":
            if self._over and not was_over and self._slot is not None:
                self._slot.require_room()
            size = len(message.get("body", b""))
            self._left -= size
            if self._held is not None and size:
                self._size += size
                self._held.add(size)
            if self._left < 0:
                raise TooLarge(f"The body is over the limit of {self._limit} bytes. Send less at once.")
        return message
