"""The JSON body of a request: bounded by its route, parsed once, and off the event loop where it is large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

from argosy.contracts.codec import JSON, decode
from argosy.contracts.errors import TooLarge, UnsupportedType

OFF_LOOP_BYTES = 256 * 2**10
"""From this size on a body is parsed by a thread, so that the other requests of the process go on."""

T = TypeVar("T")

_threads = ThreadPoolExecutor(2, thread_name_prefix="body")


def media_type(request: Request) -> str:
    """Return the body's type without parameters; empty where the request names none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(request: Request, limit_bytes: int) -> bytes:
    """Return the body of a request that holds JSON. Raises: TooLarge; UnsupportedType."""
    kind = media_type(request)
    if kind and kind != JSON:
        raise UnsupportedType(f"Content-Type {kind[:100]} is not accepted here. Send {JSON}.")
    return b"".join([piece async for piece in bounded(request, limit_bytes)])


async def bounded(
    request: Request, limit_bytes: int, pieces: AsyncIterator[bytes] | None = None
) -> AsyncIterator[bytes]:
    """Yield the pieces of a request's body while they are within the limit; `pieces` is who reads it.

    Raises: TooLarge, before the first piece where the length is known.
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
    """Return `parse(body)`; a thread runs it where the body is large."""
    if len(body) < OFF_LOOP_BYTES:
        return parse(body)
    return await asyncio.get_running_loop().run_in_executor(_threads, parse, body)


async def json_message(request: Request, into: type[T], limit_bytes: int) -> T:
    """Return the body as a message. Raises: InvalidRequest naming the field; TooLarge; UnsupportedType."""
    return await parsed(await json_body(request, limit_bytes), lambda body: decode(body, into, JSON))


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The body is over {limit_bytes} bytes, the limit of this route. Send less at once.")
