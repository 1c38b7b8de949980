"""Answer from a language model, or an extractive one when the model is overloaded, slow or unreachable.

The fallback serves only answers that have not begun. An answer that breaks off later ends with an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Protocol

from argosy.contracts.errors import SERVICE_FAILURES, ArgosyError, Overloaded
from argosy.contracts.generation import (
    AnswerBackend,
    AnswerDelta,
    AnswerDone,
    AnswerEvent,
    GenerateRequest,
    StandaloneRequest,
    StandaloneResponse,
)
from argosy.contracts.request import FALLBACK_SHARE, Clock, RequestContext
from argosy.serving.endpoint_health import EndpointHealth
from argosy.telemetry.logs import logger

GENERATION = "generation"
FIRST_SHARE = FALLBACK_SHARE * 0.8
"""Largest share of the remaining time for the first token. It is below the gateway's, whose own fallback has no vectors
to choose sentences by."""
LONGEST_PAUSE_S = 60.0
"""Longest time without calls to a model that asked for a pause (429 with Retry-After)."""

log = logger("generation")


class Model(AnswerBackend, Protocol):
    async def standalone(self, request: StandaloneRequest, context: RequestContext) -> StandaloneResponse:
        """Return the last question of a conversation, rewritten to stand alone.

        Raises: one of SERVICE_FAILURES when the model does not rewrite it.
        """
        ...


class FallbackBackend:
    def __init__(
        self,
        model: Model,
        extractive: AnswerBackend,
        first_token_timeout_s: float,
        clock: Clock = time.monotonic,
    ) -> None:
        self.health = EndpointHealth(clock)
        self.model = model
        self._extractive = extractive
        self._first_token_timeout_s = first_token_timeout_s
        self._clock = clock
        self._paused_until_s = -1.0

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        """Implement `AnswerBackend.answer`. `degraded` names generation when the answer is the fallback's.

        Raises: the errors of the model that are about the request itself, such as TooLarge.
        """
        left_s = context.deadline.require("the language model was asked")
        paused = self._clock() < self._paused_until_s
        events = self.model.answer(request, context)
        try:
            self._check_pause()
            async with asyncio.timeout(min(self._first_token_timeout_s, FIRST_SHARE * left_s)):
                first = await anext(events)
        except (*SERVICE_FAILURES, TimeoutError, StopAsyncIteration) as error:
            await events.aclose()
            if isinstance(error, Overloaded):
                self._pause(error)
            detail = _fault(error)
            if not paused:
                self.health.failed(detail)
            log.warning(
                "answered by extractive fallback",
                reason=type(error).__name__,
                detail=detail,
                request_id=context.request_id,
            )
        except BaseException:
            await events.aclose()
            raise
        else:
            self.health.worked()
            async with contextlib.aclosing(events):
                yield first
                async for event in events:
                    yield event
            return
        async with contextlib.aclosing(self._extractive.answer(request, context)) as quoted:
            async for event in quoted:
                if isinstance(event, AnswerDelta | AnswerDone):
                    event.degraded = list(dict.fromkeys([GENERATION, *event.degraded]))
                yield event

    async def standalone(self, request: StandaloneRequest, context: RequestContext) -> StandaloneResponse:
        """Return the last question, rewritten by the model. Raises: the errors of the model; Overloaded in a pause."""
        self._check_pause()
        try:
            found = await self.model.standalone(request, context)
        except SERVICE_FAILURES as error:
            if isinstance(error, Overloaded):
                self._pause(error)
            self.health.failed(_fault(error))
            raise
        self.health.worked()
        return found

    def _check_pause(self) -> None:
        if self._clock() < self._paused_until_s:
            raise Overloaded("The language model's endpoint asked for a pause.", retry_after_s=1.0)

    def _pause(self, error: Overloaded) -> None:
        """Call the model no more for as long as it asked. A refusal during a pause does not lengthen it."""
        if self._clock() >= self._paused_until_s:
            self._paused_until_s = self._clock() + min(error.retry_after_s or 0.0, LONGEST_PAUSE_S)

    async def close(self) -> None:
        await self.model.close()
        await self._extractive.close()


def _fault(error: BaseException) -> str:
    """Return what is wrong with the model, in a sentence."""
    if isinstance(error, ArgosyError):
        return error.message
    if isinstance(error, TimeoutError):
        return "The language model sent no word of its answer in time."
    return "The language model ended its answer before its first word."
