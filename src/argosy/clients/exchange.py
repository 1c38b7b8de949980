"""Reading of a replica's answer: its load report, its lines, and its error as an ArgosyError."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from argosy.balancing.lease import Lease
from argosy.balancing.outcome import LoadReport, OutcomeKind
from argosy.contracts.errors import ArgosyError, DeadlineExceeded, Overloaded, UpstreamFailed, error_from_wire
from argosy.contracts.lines import LineTooLong
from argosy.contracts.lines import lines as split
from argosy.contracts.request import LOAD_HEADER
from argosy.contracts.retry_after import retry_after_s

MAX_LINE_BYTES = 2**22


@dataclass(frozen=True, slots=True)
class RawResponse:
    """Unchanged answer of a service, to be forwarded."""

    status: int
    body: bytes
    content_type: str
    retry_after: str | None


async def answer(
    lease: Lease,
    stack: contextlib.AsyncExitStack,
    opened: contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse],
) -> aiohttp.ClientResponse:
    """Return the response after its head arrived, open until the stack closes, and record the answer on the lease."""
    response = await stack.enter_async_context(opened)
    lease.answered(_kind(response.status), LoadReport.parse(response.headers.get(LOAD_HEADER)))
    return response


def _kind(status: int) -> OutcomeKind:
    """Return how an answer counts for its replica.

    A 504 does not count against the replica, because the caller's deadline was too short.
    """
    if status == Overloaded.status:
        return OutcomeKind.OVERLOADED
    return OutcomeKind.ERROR if status >= 500 and status != DeadlineExceeded.status else OutcomeKind.OK


async def lines(response: aiohttp.ClientResponse, service: str) -> AsyncIterator[bytes]:
    """Yield the lines of the answer, without their newlines.

    Raises: UpstreamFailed when the answer breaks off or a line exceeds MAX_LINE_BYTES; DeadlineExceeded when it does
    not end within the deadline.
    """
    try:
        async with contextlib.aclosing(split(response.content.iter_any(), MAX_LINE_BYTES)) as found:
            async for line in found:
                yield line
    except LineTooLong as error:
        raise UpstreamFailed(f"The {service} service sent a line over {MAX_LINE_BYTES} bytes.") from error
    except aiohttp.ClientError as error:
        raise UpstreamFailed(f"The {service} service broke off its answer.") from error
    except TimeoutError as error:
        raise DeadlineExceeded(
            f"The {service} service did not finish within the time allowed. Allow more time, or ask for less."
        ) from error


def error_of(response: aiohttp.ClientResponse, body: bytes, service: str) -> ArgosyError:
    """Return the ArgosyError for an error answer of a service."""
    return error_from_wire(response.status, body, service, retry_after_s(response.headers.get("retry-after")))
