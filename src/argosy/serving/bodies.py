"""JSON body of a request: bounded by its route, parsed once, and parsed in a thread if it is large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

from argosy.contracts.codec import JSON, decode
from argosy.contracts.errors import TooLarge, UnsupportedType

OFF_LOOP_BYTES = 256 * 2**10
"""Size from which a body is parsed in a thread, so that it does not delay other requests of the process."""

T = TypeVar("T")

_threads = ThreadPoolExecutor(2, thread_name_prefix="body")


def media_type(request: Request) -> str:
    """Return the content type without parameters; empty when the request has none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(request: Request, limit_bytes: int) -> bytes:
    """Return the body of a request with JSON.

    Raises: TooLarge when the body exceeds `limit_bytes`; UnsupportedType when the content type is not JSON.
    """
    kind = media_type(request)
    if kind and kind != JSON:
        raise UnsupportedType(f"Content-Type {kind[:100]} is not accepted here. Send {JSON}.")
    return b"".join([piece async for piece in bounded(request, limit_bytes)])


async def bounded(
    request: Request, limit_bytes: int, pieces: AsyncIterator[bytes] | None = None
) -> AsyncIterator[bytes]:
    """Yield the pieces of a request's body up to the limit; `pieces` replaces the request's own stream.

    Raises: TooLarge when the body exceeds the limit; before the first piece if Content-Length is known.
    """
    known = request.headers.get("content-length", "")
    if known.isascii() and known.isdigit() and int(known) > limit_bytes:
        raise _too_large(limit_bytes)
    left = limit_bytes
    async for piece in pieces or request.stream():
        left -= len(piece)
        if left < 0:
            raise _too_large(limit_bytes)
        yield piece


async def parsed(body: bytes, parse: Callable[[bytes], T]) -> T:
    """Return `parse(body)`; a large body is parsed in a thread."""
    if len(body) < OFF_LOOP_BYTES:
        return parse(body)
    return await asyncio.get_running_loop().run_in_executor(_threads, parse, body)


async def json_message(request: Request, into: type[T], limit_bytes: int) -> T:
    """Return the body as a message.

    Raises: InvalidRequest, naming the field, when the body does not match; TooLarge when it exceeds `limit_bytes`;
    UnsupportedType when the content type is not JSON.
    """
    return await parsed(await json_body(request, limit_bytes), lambda body: decode(body, into, JSON))


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The body is over {limit_bytes} bytes, the limit of this route. Send less at once.")
