"""Answer as OpenAI's event stream. It ends with `[DONE]` when complete, and with an error event otherwise."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from argosy.contracts.errors import ErrorResponse
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent
from argosy.contracts.request import RequestContext
from argosy.services.gateway.answer.engine import BegunAnswer
from argosy.services.gateway.shapes import ChunkChoice, CompletionChunk, Delta, Usage
from argosy.serving.errors import as_argosy_error
from argosy.telemetry.logs import logger

MEDIA_TYPE = "text/event-stream"
UNBUFFERED = {"cache-control": "no-cache", "x-accel-buffering": "no"}

log = logger("answer")


class EventStream(StreamingResponse):
    """Response that always closes its source at its end, so that work for a caller who hung up stops at once."""

    def __init__(self, source: AsyncGenerator[bytes, None], headers: dict[str, str]) -> None:
        super().__init__(source, media_type=MEDIA_TYPE, headers=UNBUFFERED | headers)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with contextlib.aclosing(self._source):
            await super().__call__(scope, receive, send)


class CompletionStream:
    """Encoder of answer events as the bytes of the stream. `timings` is called once, at the end."""

    def __init__(
        self,
        head: CompletionChunk,
        begun: BegunAnswer,
        *,
        include_usage: bool,
        timings: Callable[[], dict[str, float]],
        on_degraded: Callable[[Iterable[str]], None],
        on_broken: Callable[[], None] = lambda: None,
    ) -> None:
        """Create an encoder. `head` gives id, created and model; its choices are ignored."""
        self._head = head
        self._begun = begun
        self._include_usage = include_usage
        self._timings = timings
        self._on_degraded = on_degraded
        self._on_broken = on_broken

    async def encode(
        self, events: AsyncGenerator[AnswerEvent, None], context: RequestContext
    ) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(events):
            try:
                yield self._chunk([ChunkChoice(Delta(role="assistant", content=""))])
                async for event in events:
                    if isinstance(event, AnswerDelta):
                        yield self._chunk([ChunkChoice(Delta(content=event.text))])
                    elif isinstance(event, AnswerDone):
                        self._on_degraded(event.degraded)
                        yield self._end(event)
            except Exception as error:
                self._on_broken()
                ours = as_argosy_error(error)
                log.warning("answer broke off", code=ours.code, request_id=context.request_id, exc_info=error)
                yield _event(ErrorResponse(ours.body(context.request_id)))

    def _end(self, done: AnswerDone) -> bytes:
        """Return the end of the stream.

        Its last chunk has the citations and degraded services and, with `include_usage`, the usage.
        """
        last = self._like_head([ChunkChoice(Delta(), finish_reason=done.finish_reason)])
        before = b""
        if self._include_usage:
            last.usage = None
            before = _event(last)
            total = done.prompt_tokens + done.completion_tokens
            last = self._like_head([])
            last.usage = Usage(done.prompt_tokens, done.completion_tokens, total)
        last.citations = done.citations
        last.degraded = done.degraded
        last.answered_by = done.model
        last.query = self._begun.query.text
        last.query_by = self._begun.query.by
        last.cached = self._begun.served_by_cache
        last.unsupported = done.unsupported
        last.prompt = done.prompt
        last.timings_ms = self._timings()
        return before + _event(last) + b"data: [DONE]\n\n"

    def _chunk(self, choices: list[ChunkChoice]) -> bytes:
        chunk = self._like_head(choices)
        if self._include_usage:
            chunk.usage = None
        return _event(chunk)

    def _like_head(self, choices: list[ChunkChoice]) -> CompletionChunk:
        return CompletionChunk(self._head.id, self._head.created, self._head.model, choices)


def _event(message: object) -> bytes:
    return b"data: " + msgspec.json.encode(message) + b"\n\n"
