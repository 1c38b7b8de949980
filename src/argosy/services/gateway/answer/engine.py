"""Answer to one question: retrieve, generate, and compose the answer in the gateway when generation fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

from argosy.contracts.errors import SERVICE_FAILURES, UpstreamFailed
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent, AnswerFailed, GenerateRequest
from argosy.contracts.request import FALLBACK_SHARE, Clock, RequestContext
from argosy.contracts.retrieval import RetrievalRequest
from argosy.services.gateway.answer.query import Query, query_of
from argosy.services.gateway.answer.question import Question
from argosy.services.gateway.answer.resuming import resuming
from argosy.services.gateway.upstream import Upstream
from argosy.telemetry.logs import logger

GENERATION = "generation"
GENERATION_SHARE = 0.9
"""Largest share of the remaining time for generation: an unfinished answer can still be replaced or reported."""

log = logger("answer")

Fallback = Callable[[GenerateRequest], list[AnswerEvent]]
"""Function that composes the whole answer without another service: deltas, then AnswerDone."""


@dataclass(slots=True)
class BegunAnswer:
    """Answer whose first event is known. `degraded` names the services degraded so far; the last event names all."""

    events: AsyncGenerator[AnswerEvent, None]
    request: GenerateRequest
    degraded: list[str]
    retrieve_ms: float
    query: Query
    cached: str = ""
    """Way in which the cache served the answer: `exact`, `semantic` or `miss`; empty when it was not asked."""

    @property
    def served_by_cache(self) -> str:
        """`exact` or `semantic` when the cache served the answer, otherwise empty."""
        return "" if self.cached == "miss" else self.cached


@dataclass(slots=True)
class WholeAnswer:
    text: str
    done: AnswerDone


class AnswerEngine:
    def __init__(
        self,
        services: Callable[[], Upstream],
        fallback: Fallback,
        first_token_timeout_s: float,
        *,
        resumes: bool = False,
        rewrite_limit_s: float | None = None,
        clock: Clock = perf_counter,
    ) -> None:
        """Create an engine for all requests.

        Args:
            services: gives the clients for a request; raises Unavailable until they are connected.
            resumes: whether answers are extractive, so that a broken one can be continued.
            rewrite_limit_s: time in which generation's language model may rewrite a follow-up question; None when
                generation has no language model.
        """
        self._services = services
        self._fallback = fallback
        self._first_token_timeout_s = first_token_timeout_s
        self._resumes = resumes
        self._rewrite_limit_s = rewrite_limit_s
        self._clock = clock

    async def begin(self, question: Question, context: RequestContext) -> BegunAnswer:
        """Begin the answer; return when its first event is known, soon after the first-token deadline at the latest.

        Raises: the errors of retrieval (CollectionNotFound, Unavailable, DeadlineExceeded, …), and the errors of
        generation that are about the request itself.
        """
        started_s = self._clock()
        services = self._services()
        query = await query_of(question, services.generation, self._rewrite_limit_s, context)
        queried_s = self._clock()
        found = await services.retrieval.search(
            RetrievalRequest(
                query=query.text,
                collection=question.collection,
                top_k=question.top_k,
                mode=question.mode,
                filters=question.filters,
                unit_vectors=True,
            ),
            context,
        )
        retrieve_s = self._clock() - queried_s
        request = GenerateRequest(
            question=question.text,
            passages=found.passages,
            history=question.history,
            max_tokens=question.max_tokens,
            max_completion_tokens=question.max_completion_tokens,
            temperature=question.temperature,
            top_p=question.top_p,
            seed=question.seed,
            stop=list(question.stop),
            question_vector=found.query_vector,
            analysis=found.analysis,
            carried=query.carried,
        )
        spent_s = self._clock() - started_s
        patient_s = patience_s(self._first_token_timeout_s, spent_s, context.deadline.remaining_s())
        degraded = [*found.degraded, *([GENERATION] if query.fell_back else [])]
        hop = replace(context, deadline=context.deadline.share(GENERATION_SHARE))
        generated = services.generation.answer(request, hop)
        try:
            try:
                async with asyncio.timeout(patient_s):
                    first = await anext(generated)
                if isinstance(first, AnswerFailed):
                    raise UpstreamFailed(first.message)
                if isinstance(first, AnswerDelta):
                    degraded[:] = dict.fromkeys([*degraded, *first.degraded])
                events = _following(first, generated, degraded)
                if self._resumes:
                    again = partial(self._again, request, hop, degraded)
                    here = partial(self._here, request, degraded)
                    events = resuming(events, [again, here])
            except (*SERVICE_FAILURES, TimeoutError, StopAsyncIteration) as error:
                await generated.aclose()
                log.warning("answered by gateway fallback", reason=type(error).__name__, request_id=context.request_id)
                events = self._here(request, degraded)
                degraded[:] = dict.fromkeys([*degraded, GENERATION])
        except BaseException:
            await generated.aclose()
            raise
        return BegunAnswer(events, request, degraded, round(retrieve_s * 1000, 3), query)

    def _here(self, request: GenerateRequest, degraded: list[str]) -> AsyncGenerator[AnswerEvent, None]:
        """Return the answer that the gateway composes itself."""
        return _all(self._fallback(request), [*degraded, GENERATION])

    async def _again(
        self, request: GenerateRequest, hop: RequestContext, degraded: list[str]
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Request the answer again, from any replica that is available now."""
        generated = self._services().generation.answer(request, hop)
        async with contextlib.aclosing(_following(await anext(generated), generated, degraded)) as events:
            async for event in events:
                yield event

    async def finish(self, begun: BegunAnswer) -> WholeAnswer:
        """Return the complete answer. One that breaks off is replaced as a whole, because none of it was sent yet."""
        try:
            return await _whole(begun.events)
        except SERVICE_FAILURES as error:
            log.warning("answered by gateway fallback", reason=error.code)
        return await _whole(self._here(begun.request, begun.degraded))


def patience_s(first_token_timeout_s: float, spent_s: float, left_s: float) -> float:
    """Return the seconds to wait for the first token before the gateway answers itself; never negative.

    Args:
        first_token_timeout_s: time allowed from the start of retrieval to the first token.
        spent_s: time that the query and retrieval took.
        left_s: time until the request's deadline; the fallback must fit in as well.
    """
    return max(0.0, min(first_token_timeout_s - spent_s, FALLBACK_SHARE * left_s))


async def _following(
    first: AnswerEvent, rest: AsyncGenerator[AnswerEvent, None], degraded: list[str]
) -> AsyncGenerator[AnswerEvent, None]:
    """Yield `first`, then `rest`; AnswerDone also names the services in `degraded`.

    Raises: UpstreamFailed when the answer ends unfinished.
    """
    event = first
    async with contextlib.aclosing(rest):
        while True:
            if isinstance(event, AnswerFailed):
                raise UpstreamFailed(event.message)
            if isinstance(event, AnswerDone):
                event.degraded = list(dict.fromkeys([*degraded, *event.degraded]))
            yield event
            if isinstance(event, AnswerDone):
                return
            try:
                event = await anext(rest)
            except StopAsyncIteration as error:
                raise UpstreamFailed(
                    "The generation service ended its stream before the answer was complete."
                ) from error


async def _all(events: list[AnswerEvent], degraded: list[str]) -> AsyncGenerator[AnswerEvent, None]:
    for event in events:
        if isinstance(event, AnswerDone):
            event.degraded = list(dict.fromkeys([*degraded, *event.degraded]))
        yield event


async def _whole(events: AsyncGenerator[AnswerEvent, None]) -> WholeAnswer:
    text: list[str] = []
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, AnswerDelta):
                text.append(event.text)
            elif isinstance(event, AnswerDone):
                return WholeAnswer("".join(text), event)
    raise UpstreamFailed("The answer ended before it was complete.")
