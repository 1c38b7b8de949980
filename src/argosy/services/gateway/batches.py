"""Progress of a batch as server-sent events, read from the documents service with repeated long polls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from argosy.clients.exchange import RawResponse
from argosy.contracts.codec import JSON
from argosy.contracts.errors import (
    ArgosyError,
    DeadlineExceeded,
    ErrorResponse,
    Overloaded,
    Unavailable,
    UpstreamFailed,
    error_from_wire,
)
from argosy.contracts.request import Deadline
from argosy.contracts.retry_after import retry_after_s
from argosy.serving.errors import as_argosy_error
from argosy.telemetry.logs import logger

POLL_S = 10.0
AGAIN_S = 0.5
STILL_HERE = b": still here\n\n"

log = logger("batches")


class _Seen(msgspec.Struct):
    """Fields in which two states of a batch can differ."""

    progress: float
    counts: dict[str, int]
    done: bool


Poll = Callable[[float], Awaitable[RawResponse]]
"""Function that returns the batch after its next change, or after the given number of seconds at the latest."""
Sleep = Callable[[float], Awaitable[None]]


async def follow(
    first: RawResponse,
    poll: Poll,
    deadline: Deadline,
    sleep: Sleep = asyncio.sleep,
    ending: Callable[[], bool] = lambda: False,
) -> AsyncGenerator[bytes, None]:
    """Yield an event for each state that differs from the previous state; the last event has `done`.

    While the documents service is unavailable or full, the stream waits and asks again. When the stream has to end
    before the batch is done, also because the deadline passed or this process is `ending`, its last event is `error`.
    """
    try:
        async for event in _states(first, poll, deadline, sleep, ending):
            yield event
    except Exception as error:
        ours = as_argosy_error(error)
        log.warning("batch stream ended early", code=ours.code, exc_info=error)
        yield b"event: error\ndata: %s\n\n" % msgspec.json.encode(ErrorResponse(ours.body()))


async def _states(
    first: RawResponse, poll: Poll, deadline: Deadline, sleep: Sleep, ending: Callable[[], bool]
) -> AsyncGenerator[bytes, None]:
    """Yield the events of `follow`, and comments that keep the connection open in between.

    Raises: ArgosyError when the batch cannot be followed to its end.
    """
    seen = _read(first)
    yield _event(first.body)
    while not seen.done:
        if deadline.remaining_s() <= 0:
            raise DeadlineExceeded(
                "The stream reached its time limit before the batch was done. Follow the batch again."
            )
        if ending():
            raise Unavailable(
                "The gateway is stopping before the batch is done. Follow the batch again.", retry_after_s=1.0
            )
        answer = await _asked(poll, deadline)
        if answer.status == 200:
            now = _read(answer)
            yield _event(answer.body) if now != seen else STILL_HERE
            seen = now
            continue
        wait_s = retry_after_s(answer.retry_after)
        if answer.status < 500 and answer.status != Overloaded.status:
            raise error_from_wire(answer.status, answer.body, "documents", wait_s)
        left_s = min(AGAIN_S if wait_s is None else wait_s, deadline.remaining_s())
        yield STILL_HERE
        while left_s > 0:  # wait in parts, so that no proxy closes an idle connection
            await sleep(min(POLL_S, left_s))
            left_s -= POLL_S
            yield STILL_HERE


async def _asked(poll: Poll, deadline: Deadline) -> RawResponse:
    """Return the answer of the documents service. An error of the call is returned as the response it stands for."""
    try:
        return await poll(min(POLL_S, max(0.0, deadline.remaining_s())))
    except ArgosyError as error:
        after = None if error.retry_after_s is None else str(error.retry_after_s)
        return RawResponse(error.status, msgspec.json.encode(ErrorResponse(error.body())), JSON, after)


def _read(answer: RawResponse) -> _Seen:
    try:
        return msgspec.json.decode(answer.body, type=_Seen)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UpstreamFailed("The documents service sent a response that is not a batch. See its log.") from error


def _event(body: bytes) -> bytes:
    return b"event: batch\ndata: %s\n\n" % body
