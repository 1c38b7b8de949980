"""Answer as lines of JSON. The first event is awaited before a line is sent, so that an early error has its status."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable

import msgspec

from argosy.contracts.errors import InvalidRequest, UpstreamFailed
from argosy.contracts.generation import AnswerBackend, AnswerDone, AnswerEvent, AnswerFailed, GenerateRequest
from argosy.contracts.request import RequestContext
from argosy.serving.errors import as_argosy_error
from argosy.telemetry.logs import logger

log = logger("generation")


class GenerationEngine:
    def __init__(self, backend: AnswerBackend, on_degraded: Callable[[str], None] = lambda missing: None) -> None:
        """Create an engine. `on_degraded` is called with each service whose fallback served an answer."""
        self._backend = backend
        self._on_degraded = on_degraded

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[bytes, None]:
        """Return lines of JSON, one AnswerEvent each: deltas, then exactly one `done` or `failed`.

        Raises: InvalidRequest when the question is empty; the errors that the backend raises before its first event;
        UpstreamFailed when the backend yields no event.
        """
        if not request.question.strip():
            raise InvalidRequest("question is empty; send the question to answer.", param="question")
        events = self._backend.answer(request, context)
        try:
            first = await anext(events)
        except StopAsyncIteration as error:
            raise UpstreamFailed("The answer ended before its first word.") from error
        except BaseException:
            await events.aclose()
            raise
        return self._lines(first, events, context)

    async def _lines(
        self, first: AnswerEvent, events: AsyncGenerator[AnswerEvent, None], context: RequestContext
    ) -> AsyncGenerator[bytes, None]:
        event = first
        async with contextlib.aclosing(events):
            try:
                while True:
                    yield msgspec.json.encode(event) + b"\n"
                    if isinstance(event, AnswerDone):
                        for missing in event.degraded:
                            self._on_degraded(missing)
                    if isinstance(event, AnswerDone | AnswerFailed):
                        return
                    event = await anext(events)
            except Exception as error:
                ours = as_argosy_error(error)
                log.error("answer broke off", code=ours.code, request_id=context.request_id, exc_info=error)
                yield msgspec.json.encode(AnswerFailed(ours.code, ours.message)) + b"\n"
