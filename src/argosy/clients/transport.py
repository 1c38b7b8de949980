"""Transport of all calls to services: it passes the deadline on and turns error answers into ArgosyErrors."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import aiohttp
from multidict import CIMultiDict

from argosy.balancing.lease import Lease
from argosy.balancing.outcome import OutcomeKind
from argosy.balancing.retry_budget import RetryBudget
from argosy.clients.address import url_at
from argosy.clients.call import CallAttempts, Plan, Send
from argosy.clients.call_guard import CallGuard
from argosy.clients.directory import Directory
from argosy.clients.exchange import RawResponse, answer, error_of, lines
from argosy.clients.hedge_copies import Losers
from argosy.clients.proven import Sessions
from argosy.clients.request_body import RequestBody
from argosy.contracts.codec import JSON, MSGPACK, decode, encode
from argosy.contracts.request import Clock, RequestContext

T = TypeVar("T")
R = TypeVar("R")
OWN_SHARE = 0.02
"""Share of the deadline kept back so that the caller can still report which service was late."""
OWN_SHARE_OF_A_WAIT = 0.1
"""Same share for a call that waits for its service, because its error passes through several hops."""
NO_INVENTED_HEADERS = ("content-type",)
"""Headers that aiohttp must not add: the next hop refuses a content type on a request without a body."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing by definition. A request to a custom service with another method is sent only once."""

Body = bytes | AsyncIterator[bytes] | None


class Transport:
    """Transport that makes the calls of one process, with balancing, retries, hedging and protection."""

    def __init__(
        self,
        directory: Directory,
        session: aiohttp.ClientSession,
        token: str,
        *,
        clock: Clock = time.monotonic,
        sessions: Sessions | None = None,
        budget: Callable[[], RetryBudget | None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self.guards = {
            service: CallGuard(service, settings, budget=budget())
            for service, settings in directory.protections.items()
        }
        """Guards of this process by service, with their counts."""
        self._losers = Losers()
        self._sessions = sessions or Sessions(session, token)
        self._authorization = {"authorization": f"Bearer {token}"}

    async def aclose(self) -> None:
        """Cancel losing hedges and close the proven session. Call this after the last call.

        The owner of the plain session closes it.
        """
        await self._losers.drop()
        await self._sessions.aclose()

    async def call(
        self,
        service: str,
        path: str,
        message: object,
        into: type[T],
        context: RequestContext,
        *,
        idempotent: bool = True,
        patient: bool = False,
        read: bool = False,
        key: str | None = None,
    ) -> T:
        """Send one message and return the answer.

        If a replica cannot be reached, breaks off, is late, is full or fails, the call is retried once on another
        replica, provided that the call is idempotent or was never sent. With `patient`, the call waits within the
        deadline for a service without a replica. A `read` changes nothing: when it is late, it is also sent to a second
        replica. Calls with the same `key` go to the same replica if the service's strategy uses keys.

        Raises: the error that the service answered; Overloaded when the service or this caller's guard refuses the
        call; Unavailable when no replica can be reached; DeadlineExceeded when no answer comes within the deadline.
        """
        sent = encode(message)
        headers = {"content-type": MSGPACK, "accept": MSGPACK}
        own_share = OWN_SHARE_OF_A_WAIT if patient else OWN_SHARE
        within = replace(context, deadline=context.deadline.share(1 - own_share))

        async def once(lease: Lease, attempt: RequestContext, stack: contextlib.AsyncExitStack) -> bytes:
            left_s = attempt.deadline.remaining_s()
            opened = self._request("POST", lease, path, sent, {**attempt.headers(), **headers}, left_s)
            response = await answer(lease, stack, opened)
            body = await response.read()
            if response.status >= 300:  # redirects are errors too, because the fleet's token must not follow them
                raise error_of(response, body, service)
            return body

        async with contextlib.AsyncExitStack() as stack:
            plan = Plan(service, within, idempotent, patient, hedged=read, key=key)
            return decode(await self._make(plan, once, stack), into)

    @contextlib.asynccontextmanager
    async def stream(
        self, service: str, path: str, message: object, context: RequestContext
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Send one message and yield the lines of the answer as they arrive.

        Raises: the errors of `call` before the first line; UpstreamFailed when the stream breaks off.
        """
        sent = encode(message)

        async def once(lease: Lease, _: RequestContext, stack: contextlib.AsyncExitStack) -> aiohttp.ClientResponse:
            headers = {**context.headers(), "content-type": MSGPACK}
            opened = self._request("POST", lease, path, sent, headers, context.deadline.remaining_s())
            response = await answer(lease, stack, opened)
            if response.status >= 300:
                raise error_of(response, await response.read(), service)
            return response

        async with contextlib.AsyncExitStack() as stack:
            yield lines(await self._make(Plan(service, context), once, stack), service)

    async def forward(
        self,
        service: str,
        path: str,
        method: str,
        context: RequestContext,
        *,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        waits: bool = False,
    ) -> RawResponse:
        """Forward a request and return the unchanged answer, including error answers.

        Only a request without a streamed body is retried. When a streamed body ends early, the call raises the error
        that ended the body. `waits` marks a long poll, which does not count as in flight.
        """
        sent = {"accept": JSON, **(headers or {})}
        streamed = None if body is None or isinstance(body, bytes) else RequestBody(body)

        async def once(lease: Lease, _: RequestContext, stack: contextlib.AsyncExitStack) -> RawResponse:
            left_s = context.deadline.remaining_s()
            opened = self._request(method, lease, path, streamed or body, {**context.headers(), **sent}, left_s, params)
            response = await _answered(lease, stack, opened, streamed)
            return RawResponse(
                response.status, await response.read(), response.content_type, response.headers.get("retry-after")
            )

        async with contextlib.AsyncExitStack() as stack:
            return await self._make(Plan(service, context, idempotent=streamed is None, waits=waits), once, stack)

    @contextlib.asynccontextmanager
    async def proxy(
        self,
        service: str,
        path: str,
        method: str,
        context: RequestContext,
        *,
        body: AsyncIterator[bytes] | None,
        headers: Sequence[tuple[str, str]],
        query: str,
        length: int | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Forward a request to a custom service and yield its answer as a stream.

        The fleet's token is not sent; the caller's own Authorization is. Only a request with a safe method and without
        a body is retried after it was sent, or hedged until an answer begins.

        Args:
            path: escaped path that begins with `/`; it is sent unchanged.
            headers: headers without those that frame a body.
            length: announced size of the body in bytes, sent as Content-Length; with None the body is sent in chunks.
        Raises: the errors of `call`; InvalidRequest when the path leads to another path or host; the error with which
        the body ended early.
        """
        streamed = None if body is None else RequestBody(body, length)
        framing = [] if body is None or length is None else [("content-length", str(length))]

        async def once(lease: Lease, _: RequestContext, stack: contextlib.AsyncExitStack) -> aiohttp.ClientResponse:
            opened = self._sessions.to(lease.endpoint).request(
                method,
                url_at(lease.endpoint.url, path, query),
                data=streamed,
                headers=CIMultiDict([*headers, *framing, *context.headers().items()]),
                skip_auto_headers=NO_INVENTED_HEADERS,
                timeout=aiohttp.ClientTimeout(total=context.deadline.remaining_s()),
                allow_redirects=False,
            )
            return await _answered(lease, stack, opened, streamed)

        async with contextlib.AsyncExitStack() as stack:
            again = body is None and method in SAFE_METHODS
            yield await self._make(Plan(service, context, idempotent=again, hedged=again), once, stack)

    def _request(
        self,
        method: str,
        lease: Lease,
        path: str,
        body: Body,
        headers: Mapping[str, str],
        left_s: float,
        params: Mapping[str, str] | None = None,
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._sessions.to(lease.endpoint).request(
            method,
            url_at(lease.endpoint.url, path),
            data=body,
            params=params,
            headers={**self._authorization, **headers},
            skip_auto_headers=NO_INVENTED_HEADERS,
            timeout=aiohttp.ClientTimeout(total=left_s),
            allow_redirects=False,
        )

    async def _make(self, plan: Plan, once: Send[R], stack: contextlib.AsyncExitStack) -> R:
        balancer, guard = self._directory.balancer(plan.service), self.guards[plan.service]
        return await CallAttempts(plan, once, stack, balancer, guard, self._losers, self._clock).make()


async def _answered(
    lease: Lease,
    stack: contextlib.AsyncExitStack,
    opened: contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse],
    body: RequestBody | None,
) -> aiohttp.ClientResponse:
    """Return the response after its head arrived.

    When the caller does not send its body, the failure does not count against the replica.
    """
    try:
        return await answer(lease, stack, opened)
    except BaseException as error:
        if body is not None and body.at_fault(error):
            lease.end(OutcomeKind.CANCELLED)
            if body.failure is not None and isinstance(error, aiohttp.ClientError):
                raise body.failure from error
        raise
