"""How an answer of a replica is read: what it says of the replica, its lines, and its error as one of ours."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from argosy.balancing.lease import Lease
from argosy.balancing.outcome import Kind, LoadReport
from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Overloaded, UpstreamFailed, error_from_wire
from argosy.contracts.lines import LineTooLong
from argosy.contracts.lines import lines as split
from argosy.contracts.request import LOAD_HEADER
from argosy.contracts.retry_after import retry_after_s

MAX_LINE_BYTES = 2**22


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A service's answer as it came, to be passed on."""

    status: int
    body: bytes
    content_type: str
    retry_after: str | None


async def answer(
    lease: Lease,
    stack: contextlib.AsyncExitStack,
    opened: contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse],
) -> aiohttp.ClientResponse:
    """The response once its head is here, open until the stack closes; the lease is told."""
    response = await stack.enter_async_context(opened)
    lease.answered(_kind(response.status), LoadReport.parse(response.headers.get(LOAD_HEADER)))
    return response


def _kind(status: int) -> Kind:
    """What an answer says of its replica. One that refuses for want of time is well: the time was the caller's."""
    if status == Overloaded.status:
        return Kind.OVERLOADED
    return Kind.ERROR if status >= 500 and status != DeadlineExceeded.status else Kind.OK


async def lines(response: aiohttp.ClientResponse, service: str) -> AsyncIterator[bytes]:
    """Raises: UpstreamFailed, it broke off or a line is over MAX_LINE_BYTES; DeadlineExceeded."""
    try:
        async with contextlib.aclosing(split(response.content.iter_any(), MAX_LINE_BYTES)) as found:
            async for line in found:
                yield line
    except LineTooLong as error:
        raise UpstreamFailed(f"The {service} service sent a line over {MAX_LINE_BYTES} bytes.") from error
    except aiohttp.ClientError as error:
        raise UpstreamFailed(f"The {service} service broke off its answer.") from error
    except TimeoutError as error:
        raise DeadlineExceeded(f"The {service} service did not finish within the time allowed.") from error


def error_of(response: aiohttp.ClientResponse, body: bytes, service: str) -> ArgosyError:
    return error_from_wire(response.status, body, service, retry_after_s(response.headers.get("retry-after")))
