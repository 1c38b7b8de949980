"""A batch followed to its end as server-sent events, over as many long polls as that takes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from argosy.clients.exchange import RawResponse
from argosy.contracts.errors import ArgosyError
from argosy.contracts.request import Deadline

POLL_S = 10.0
AGAIN_S = 0.5
STILL_HERE = b": still here\n\n"


class _Seen(msgspec.Struct):
    """What tells two states of a batch apart."""

    progress: float
    counts: dict[str, int]
    done: bool


Poll = Callable[[float], Awaitable[RawResponse]]
"""The batch after a change, or after that many seconds."""


async def follow(
    first: RawResponse, poll: Poll, deadline: Deadline, ending: Callable[[], bool] = lambda: False
) -> AsyncGenerator[bytes, None]:
    """An event for each state that differs from the one before; the last one has `done`.

    A documents service that is away for a while is waited for. Past the deadline, and once this process is `ending`,
    the stream ends with a comment.
    """
    seen = msgspec.json.decode(first.body, type=_Seen)
    yield _event(first.body)
    while not seen.done:
        if deadline.remaining_s() <= 0 or ending():
            yield b": this stream is over, the batch is not; follow it again\n\n"
            return
        answer: RawResponse | None = None
        with contextlib.suppress(ArgosyError):
            answer = await poll(min(POLL_S, max(0.0, deadline.remaining_s())))
        if answer is None or answer.status >= 500:
            yield STILL_HERE
            await asyncio.sleep(AGAIN_S)
            continue
        if answer.status != 200:  # it was forgotten meanwhile
            return
        now = msgspec.json.decode(answer.body, type=_Seen)
        yield _event(answer.body) if now != seen else STILL_HERE
        seen = now


def _event(body: bytes) -> bytes:
    return b"event: batch\ndata: %s\n\n" % body
