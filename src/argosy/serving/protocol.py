"""HTTP/1.1 protocol of every port: uvicorn's protocol with bounds on the cost of one connection.

The parser itself has no limits. This module counts the bytes of each unfinished head, chunk header and trailer, in
slices, so that none grows without bound. Times are stored as timestamps and checked by one sweep over all connections,
because a timer for each request would cost more than all other checks.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Protocol

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from argosy.contracts.errors import (
    ArgosyError,
    HeadersTooLarge,
    InvalidRequest,
    RequestTimeout,
    Unavailable,
)
from argosy.serving.errors import raw_response
from argosy.serving.patience import Patience, UnreadAnswer
from argosy.serving.request_head import fault, malformed
from argosy.serving.request_id import request_id_of

MAX_HEAD_BYTES = 64 * 2**10
"""Most bytes of request line and headers, and again of the chunk extensions and trailers of a chunked body."""
FRAMING_PER_BYTE = 4
"""Bytes of chunk headers that a chunked body may have for each byte of data, beyond MAX_HEAD_BYTES."""
MAX_PIPELINED = 16
PROBES = frozenset({b"/livez", b"/readyz", b"/internal/status"})
"""Paths that are answered on a connection of the reserve."""


class ConnectionOwner(Protocol):
    """Owner of all connections of a process, which may refuse one and counts refused requests."""

    def opened(self, connection: BoundedProtocol) -> None:
        """Add a new connection, possibly to the reserve."""
        ...

    def closed(self, connection: BoundedProtocol) -> None: ...

    def refused(self, code: str) -> None:
        """Count a request that the protocol refused with this error code."""
        ...


class BoundedProtocol(HttpToolsProtocol):
    """Protocol of one connection."""

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.guard: ConnectionOwner = config.connections
        self.in_reserve = False
        self._patience: Patience = config.patience
        self._receiving = False
        """Whether a body is being received: the head is complete, the message is not."""
        self._began = False
        """Whether a head has begun."""
        self._head_bytes = 0
        self._chunked = False
        self._framing = 0
        self._messages = 0
        self._since_s = 0.0
        """Start time of the present phase: idle, head, or window of a body."""
        self._window_bytes = 0
        self._unread = UnreadAnswer(self._patience)
        self._refused = False
        self._close_by_s = math.inf
        self._last_words: ArgosyError | None = None
        """Refusal that is sent after the earlier requests are answered."""

    @property
    def idle_since_s(self) -> float | None:
        """Time since which the connection is idle; None while a request is received, processed or refused."""
        working = self.cycle is not None and not self.cycle.response_complete
        return None if working or self._receiving or self._refused else self._since_s

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since_s = self.loop.time()
        self.guard.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.guard.closed(self)

    def data_received(self, data: bytes) -> None:
        room = MAX_HEAD_BYTES - self._head_bytes
        if len(data) <= room:
            self._feed(data)
            return
        view = memoryview(data)
        while view and not self._refused:
            room = MAX_HEAD_BYTES - self._head_bytes
            self._feed(view[:room])
            view = view[room:]

    def _feed(self, data: bytes | memoryview) -> None:
        if self._refused:
            return
        receiving, messages = self._receiving, self._messages
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No other protocol is supported. The request is answered as HTTP, and the bytes after it are ignored.
            self.cycle.keep_alive = False
            self._refused = True
            self._close_by_s = math.inf
            return
        except httptools.HttpParserError as error:
            ours = error.__context__
            self._refuse(ours if isinstance(ours, ArgosyError) else malformed(error))
            return
        if self._receiving:
            if self._chunked:
                self._framing += len(data) if receiving and messages == self._messages else 0
                if self._framing > MAX_HEAD_BYTES:
                    self._refuse(
                        HeadersTooLarge(
                            "The chunked body consists mostly of chunk headers, extensions or trailers. Send larger "
                            "chunks without extensions, or a Content-Length."
                        )
                    )
        elif messages == self._messages:
            self._head_bytes += len(data)
            if self._head_bytes >= MAX_HEAD_BYTES:
                self._refuse(
                    HeadersTooLarge(
                        f"The request line and headers are over the limit of {MAX_HEAD_BYTES} bytes. Send shorter ones."
                    )
                )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._began = True
        self._since_s = self.loop.time()

    def on_headers_complete(self) -> None:
        headers = self.headers
        names = {name for name, _ in headers}
        error = fault(self.url, headers, names, self.parser)
        if error is None and self.in_reserve and self.url.partition(b"?")[0] not in PROBES:
            error = Unavailable(
                "The service has as many connections as it can hold. Try again after the time in Retry-After, and "
                "close connections that are not used.",
                retry_after_s=1.0,
            )
        if error is None and len(self.pipeline) >= MAX_PIPELINED:
            error = InvalidRequest(
                f"More than {MAX_PIPELINED} requests wait on this connection. Read the answers first."
            )
        if error is not None:
            raise error
        super().on_headers_complete()
        self._receiving = True
        self._since_s = self.loop.time()
        self._head_bytes = self._framing = self._window_bytes = 0
        self._chunked = b"transfer-encoding" in names
        # The request keeps the checked list; trailers go into a new list, which is never read.
        self.headers = []
        if self.in_reserve:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        size = len(body)
        self._window_bytes += size
        self._framing -= (1 + FRAMING_PER_BYTE) * size
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._receiving = self._began = False
        self._head_bytes = 0
        self._messages += 1
        if self.cycle.response_complete:
            self._since_s, self._close_by_s = self.loop.time(), math.inf
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Handle the end of an answer as uvicorn does, but without its keep-alive timer, which the sweep replaces."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        now_s = self.loop.time()
        if self._receiving and self.cycle.response_complete:
            self._close_by_s = now_s + self._patience.body_window_s
            if self.expect_100_continue:
                # The caller may now omit the body, and its next request would be parsed as the body.
                self._hang_up()
                return
        elif not self._began:
            self._since_s = now_s
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._last_words is not None:
            self._say(self._last_words)

    def _refuse(self, error: ArgosyError) -> None:
        """Answer with the error and close, after the earlier requests on this connection are answered."""
        self._refused = True
        cycle = self.cycle
        self.guard.refused(error.code)
        if cycle is None or (cycle.response_complete and not self._receiving):
            self._say(error)
        elif cycle.response_complete:  # the caller already has its answer and will stop sending
            self._hang_up()
        elif not self._receiving:
            self._last_words = error
        else:
            cycle.disconnected = True
            cycle.message_event.set()
            if self.pipeline:  # the newest request in the pipeline is the refused one
                self.pipeline.popleft()
                self._last_words = error
            elif cycle.response_started:
                self.transport.close()
            else:
                self._say(error)

    def _say(self, error: ArgosyError) -> None:
        sent = self.scope["headers"] if self._began else ()
        request_id = request_id_of({name.decode("latin-1"): value.decode("latin-1") for name, value in sent})
        status_line = STATUS_LINE[error.status]
        self.transport.write(raw_response(error, status_line, self.server_state.default_headers, request_id))
        self._hang_up()

    def _hang_up(self) -> None:
        """Close only the sending side: a full close while the caller sends would make the kernel discard the answer."""
        self._refused = True
        self.transport.write_eof()
        self.flow.resume_reading()
        self._close_by_s = self.loop.time() + self._patience.linger_s

    def sweep(self, now_s: float) -> None:
        """Close or refuse the connection when it keeps the server waiting too long."""
        transport, patience = self.transport, self._patience
        unsent = transport.get_write_buffer_size()
        growing = self.cycle is not None and not self.cycle.response_complete and not self.flow.write_paused
        if self._unread.is_stuck(now_s, unsent, growing=growing):
            transport.abort()
        elif transport.is_closing():
            self._close_by_s = min(self._close_by_s, now_s + patience.linger_s)
            if not unsent and now_s >= self._close_by_s:
                transport.abort()
        elif now_s >= self._close_by_s:
            transport.abort()
        elif self._refused:
            pass
        elif self.flow.read_paused and (self._receiving or self._began):
            # The server itself paused reading, so this time does not count against the caller.
            self._since_s, self._window_bytes = now_s, 0
        elif self._receiving:
            self._check_body(now_s)
        elif self._began:
            if now_s - self._since_s >= (patience.reserve_s if self.in_reserve else patience.head_s):
                self._refuse(
                    RequestTimeout(
                        f"The request's headers were not complete after {patience.head_s:g} s. Send them faster."
                    )
                )
        elif not self._messages:
            if now_s - self._since_s >= (patience.reserve_s if self.in_reserve else patience.head_s):
                transport.close()
        elif unsent:
            self._since_s = now_s
        elif self.cycle.response_complete and now_s - self._since_s >= patience.keep_alive_s:
            transport.close()

    def _check_body(self, now_s: float) -> None:
        patience = self._patience
        within_s = now_s - self._since_s
        if self.cycle.response_started:
            if self._window_bytes:
                self._window_bytes, self._since_s = 0, now_s
            elif within_s >= patience.stream_idle_s:
                self._refuse(
                    RequestTimeout(
                        f"No byte of the body arrived for {patience.stream_idle_s:g} s. Send the rest without a pause."
                    )
                )
            return
        if within_s < patience.body_window_s:
            return
        if self._window_bytes < patience.body_bytes_per_s * within_s:
            self._refuse(
                RequestTimeout(
                    f"The body arrived at less than {patience.body_bytes_per_s:.0f} bytes per second. Send it faster, "
                    "or in several requests."
                )
            )
        self._window_bytes, self._since_s = 0, now_s

    def resume_writing(self) -> None:
        self._unread.reset()
        super().resume_writing()
