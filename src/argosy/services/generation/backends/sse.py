"""Chunks of an OpenAI-compatible event stream, reduced to the fields that are used."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from argosy.contracts.errors import UpstreamFailed
from argosy.contracts.lines import LineTooLong, event_data

MAX_LINE_BYTES = 2**20
DONE = b"[DONE]"


class Delta(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    delta: Delta = msgspec.field(default_factory=Delta)
    finish_reason: str | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0


class Chunk(msgspec.Struct):
    """Chunk of the stream. `done` marks the `[DONE]` line."""

    choices: list[Choice] = []
    usage: Usage | None = None
    error: msgspec.Raw = msgspec.Raw()
    done: bool = False


_decoder = msgspec.json.Decoder(Chunk)


async def chunks(data: AsyncIterator[bytes]) -> AsyncGenerator[Chunk, None]:
    """Yield each chunk of the stream up to `[DONE]` or its end.

    Raises: UpstreamFailed when a line is not a chunk, is longer than MAX_LINE_BYTES or reports an error.
    """
    try:
        async with contextlib.aclosing(event_data(data, MAX_LINE_BYTES)) as events:
            async for event in events:
                if event == DONE:
                    yield Chunk(done=True)
                    return
                yield _chunk(event)
    except LineTooLong as error:
        raise UpstreamFailed(f"The language model's endpoint sent a line over {MAX_LINE_BYTES} bytes.") from error


def _chunk(event: bytes) -> Chunk:
    try:
        chunk = _decoder.decode(event)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UpstreamFailed("The language model's endpoint sent something that is not a chat chunk.") from error
    if bytes(chunk.error) not in (b"", b"null"):
        raise UpstreamFailed("The language model's endpoint reported an error in its answer.")
    return chunk
