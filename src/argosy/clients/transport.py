"""One way to call a service: pick a replica, pass the deadline on, try again elsewhere, give errors back as ours."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from argosy.balancing.balancer import Lease
from argosy.balancing.outcome import Kind, LoadReport
from argosy.balancing.retry_budget import RetryBudget
from argosy.clients.directory import Directory
from argosy.contracts.codec import JSON, MSGPACK, decode, encode
from argosy.contracts.errors import (
    ArgosyError,
    DeadlineExceeded,
    Overloaded,
    Unavailable,
    UpstreamFailed,
    error_from_wire,
)
from argosy.contracts.request import LOAD_HEADER, Clock, RequestContext
from argosy.telemetry.logs import logger

T = TypeVar("T")
R = TypeVar("R")
ATTEMPTS = 2
PATIENCE_S = 0.1
"""Between two looks for a replica of a service that is worth waiting for."""
OWN_SHARE = 0.02
"""Of a call's time, what the caller keeps: its own error, naming who was late, is out before its caller hangs up."""
OWN_SHARE_OF_A_WAIT = 0.1
"""The same of a call that waits for its service: that the wait was in vain passes through several hops."""
MAX_LINE_BYTES = 2**22
NO_INVENTED_HEADERS = ("content-type",)
"""A request without a body has no type; one that aiohttp makes up is refused by the next hop."""

Body = bytes | AsyncIterator[bytes] | None
Send = Callable[[Lease, RequestContext, contextlib.AsyncExitStack], Awaitable[R]]
"""Asks one replica. The context's deadline is this attempt's."""

log = logger("transport")


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A service's answer as it came, to be passed on."""

    status: int
    body: bytes
    content_type: str
    retry_after: str | None


class Transport:
    def __init__(
        self,
        directory: Directory,
        session: aiohttp.ClientSession,
        token: str,
        *,
        clock: Clock = time.monotonic,
        budget: Callable[[], RetryBudget] = RetryBudget,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._budgets = {service: budget() for service in directory.services}
        self.retries_refused = dict.fromkeys(directory.services, 0)
        """By service: second attempts not made because the budget was spent."""
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
        idempotent: bool = True,
        patient: bool = False,
    ) -> T:
        """Sends one message, returns one.

        A replica that cannot be reached, breaks off, is late or fails is given up for another one, once, when the call
        is idempotent or was never sent. With `patient`, a service without a replica is waited for within the deadline.
        Raises: the service's own error; Unavailable; DeadlineExceeded.
        """
        sent = encode(message)
        headers = {"content-type": MSGPACK, "accept": MSGPACK}
        own_share = OWN_SHARE_OF_A_WAIT if patient else OWN_SHARE
        within = replace(context, deadline=context.deadline.share(1 - own_share))

        async def once(lease: Lease, attempt: RequestContext, stack: contextlib.AsyncExitStack) -> bytes:
            left_s = attempt.deadline.remaining_s()
            opened = self._request("POST", lease, path, sent, {**attempt.headers(), **headers}, left_s)
            response = await _answer(lease, stack, opened)
            body = await response.read()
            if response.status >= 400:
                raise _error(response, body, service)
            return body

        async with contextlib.AsyncExitStack() as stack:
            return decode(await self._try(service, within, once, stack, idempotent, patient), into)

    @contextlib.asynccontextmanager
    async def stream(
        self, service: str, path: str, message: object, context: RequestContext
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Sends one message, gives the lines of the answer as they come. A broken stream raises UpstreamFailed."""
        sent = encode(message)

        async def once(lease: Lease, _: RequestContext, stack: contextlib.AsyncExitStack) -> aiohttp.ClientResponse:
            headers = {**context.headers(), "content-type": MSGPACK}
            opened = self._request("POST", lease, path, sent, headers, context.deadline.remaining_s())
            response = await _answer(lease, stack, opened)
            if response.status >= 400:
                raise _error(response, await response.read(), service)
            return response

        async with contextlib.AsyncExitStack() as stack:
            yield _lines(await self._try(service, context, once, stack, True, False), service)

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
    ) -> RawResponse:
        """Passes a request on and gives the answer back as it is, errors included.

        Only a request without a streamed body is tried again.
        """
        sent = {"accept": JSON, **(headers or {})}

        async def once(lease: Lease, _: RequestContext, stack: contextlib.AsyncExitStack) -> RawResponse:
            left_s = context.deadline.remaining_s()
            opened = self._request(method, lease, path, body, {**context.headers(), **sent}, left_s, params)
            response = await _answer(lease, stack, opened)
            return RawResponse(
                response.status, await response.read(), response.content_type, response.headers.get("retry-after")
            )

        async with contextlib.AsyncExitStack() as stack:
            replayable = body is None or isinstance(body, bytes)
            return await self._try(service, context, once, stack, replayable, False)

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
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Passes a request on to a service of the user's own and gives its answer as it comes.

        The fleet's token stays here; the caller's own Authorization goes along. Only a request without a body is
        tried again.
        """

        async def once(lease: Lease, _: RequestContext, stack: contextlib.AsyncExitStack) -> aiohttp.ClientResponse:
            opened = self._session.request(
                method,
                URL(f"{lease.endpoint.url}{path}{'?' if query else ''}{query}", encoded=True),
                data=body,
                headers=CIMultiDict([*headers, *context.headers().items()]),
                skip_auto_headers=NO_INVENTED_HEADERS,
                timeout=aiohttp.ClientTimeout(total=context.deadline.remaining_s()),
                allow_redirects=False,
            )
            return await _answer(lease, stack, opened)

        async with contextlib.AsyncExitStack() as stack:
            yield await self._try(service, context, once, stack, body is None, False)

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
        return self._session.request(
            method,
            f"{lease.endpoint.url}{path}",
            data=body,
            params=params,
            headers={**self._authorization, **headers},
            skip_auto_headers=NO_INVENTED_HEADERS,
            timeout=aiohttp.ClientTimeout(total=left_s),
        )

    async def _try(
        self,
        service: str,
        context: RequestContext,
        once: Send[R],
        stack: contextlib.AsyncExitStack,
        idempotent: bool,
        patient: bool,
    ) -> R:
        """`once` on one replica, and on another if need be. What the last attempt opened stays open in `stack`."""
        failed: list[str] = []
        budget = self._budgets[service]
        budget.request(self._clock())
        while True:
            try:
                return await self._attempt(service, context, once, stack, idempotent, patient, failed)
            except _TryElsewhere as again:
                if len(failed) < ATTEMPTS and self._may_repeat(service, budget):
                    log.warning("trying elsewhere", to=service, failed=failed[-1], reason=again.error.code)
                    continue
                error: ArgosyError = again.error
            except Unavailable as unavailable:
                error = unavailable
            worth_waiting = patient and isinstance(error, Unavailable)
            if not worth_waiting or context.deadline.remaining_s() < PATIENCE_S:
                raise error
            failed.clear()
            await asyncio.sleep(PATIENCE_S)
            if context.deadline.remaining_s() <= 0:
                raise error

    def _may_repeat(self, service: str, budget: RetryBudget) -> bool:
        if budget.take(self._clock()):
            return True
        self.retries_refused[service] += 1
        log.warning("no second attempt", to=service, reason="the retry budget is spent")
        return False

    async def _attempt(
        self,
        service: str,
        context: RequestContext,
        once: Send[R],
        stack: contextlib.AsyncExitStack,
        idempotent: bool,
        patient: bool,
        failed: list[str],
    ) -> R:
        balancer = self._directory.balancer(service)
        context.deadline.require(f"the {service} service was asked")
        async with contextlib.AsyncExitStack() as attempt:
            lease = attempt.enter_context(balancer.lease(avoid=failed))
            elsewhere = idempotent and not failed and len(balancer.candidates) > 1
            allowed = context.for_hop_with_fallback() if elsewhere else context
            try:
                async with asyncio.timeout(allowed.deadline.remaining_s()):
                    result = await once(lease, allowed, attempt)
            except aiohttp.ClientConnectorError as error:
                failed.append(lease.endpoint.id)
                lease.end(Kind.REFUSED)
                raise _TryElsewhere(_unreachable(service)) from error
            except aiohttp.ClientError as error:
                failed.append(lease.endpoint.id)
                lease.end(Kind.ERROR)
                raise (_TryElsewhere(_unreachable(service)) if idempotent else _unreachable(service)) from error
            except TimeoutError as error:
                failed.append(lease.endpoint.id)
                lease.end(Kind.TIMEOUT)
                silent = f"The {service} service did not answer within the time allowed."
                # A service that is worth waiting for is not there when it is silent: the caller may try again later.
                unanswered = Unavailable(silent, retry_after_s=1.0) if patient else DeadlineExceeded(silent)
                raise (_TryElsewhere(unanswered) if elsewhere else unanswered) from error
            except ArgosyError as error:
                lease.end(lease.answer or Kind.ERROR)
                if error.status >= 500 and elsewhere:
                    failed.append(lease.endpoint.id)
                    raise _TryElsewhere(error) from error
                raise
            stack.push_async_exit(attempt.pop_all())
            return result


async def _answer(
    lease: Lease,
    stack: contextlib.AsyncExitStack,
    opened: contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse],
) -> aiohttp.ClientResponse:
    response = await stack.enter_async_context(opened)
    lease.answered(_kind(response.status), LoadReport.parse(response.headers.get(LOAD_HEADER)))
    return response


def _kind(status: int) -> Kind:
    """What an answer says of its replica. One that refuses for want of time is well: the time was the caller's."""
    if status == Overloaded.status:
        return Kind.OVERLOADED
    return Kind.ERROR if status >= 500 and status != DeadlineExceeded.status else Kind.OK


class _TryElsewhere(Exception):
    """This replica failed and another may do; `error` is what to say when none does."""

    def __init__(self, error: ArgosyError) -> None:
        super().__init__(error.message)
        self.error = error


def _unreachable(service: str) -> Unavailable:
    return Unavailable(f"The {service} service cannot be reached now.", retry_after_s=1.0)


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
    return error_from_wire(
        response.status, body, service, float(after) if after.isascii() and after.isdigit() else None
    )
