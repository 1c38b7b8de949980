"""Answers from the cache before answers from the services: one engine in front of another.

The version of the collection is read before anything is searched, and an answer is stored under that version. A change
that was acknowledged before a question arrived is therefore never missing from its answer.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from struct import unpack

import msgspec

from argosy.config.answer_cache import AnswerCacheSettings
from argosy.config.generation import GenerationSettings
from argosy.contracts.embedding import TextKind
from argosy.contracts.errors import ArgosyError
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent, GenerateRequest
from argosy.contracts.request import Clock, RequestContext
from argosy.services.gateway.answer.cache import AnswerCache, CachedAnswer
from argosy.services.gateway.answer.engine import AnswerEngine, BegunAnswer
from argosy.services.gateway.answer.prompt_version import prompt_version
from argosy.services.gateway.answer.query import Query
from argosy.services.gateway.answer.question import Question
from argosy.services.gateway.upstream import Upstream
from argosy.telemetry.logs import logger

EXACT = "exact"
SEMANTIC = "semantic"
MISS = "miss"
PIECE_CHARS = 24
"""Characters of one delta of a cached answer."""

log = logger("answer")


class CachingEngine:
    def __init__(
        self,
        engine: AnswerEngine,
        services: Callable[[], Upstream],
        settings: AnswerCacheSettings,
        generation: GenerationSettings,
        clock: Clock = time.monotonic,
    ) -> None:
        self._engine = engine
        self._services = services
        self._settings = settings
        self._generation = generation
        self._clock = clock
        self.cache = AnswerCache(settings.max_bytes, settings.max_age_s, settings.threshold, clock)

    async def begin(self, question: Question, context: RequestContext) -> BegunAnswer:
        """Begin the answer, from the cache when it holds one. Raises: the errors of `AnswerEngine.begin`."""
        if self._settings.mode == "off":
            return await self._engine.begin(question, context)
        prompt = prompt_version(self._generation)
        scope = await self._scope(question, prompt, context)
        if scope is None:
            return await self._engine.begin(question, context)
        key = _key(question)
        if found := self.cache.exact(scope, key):
            return _repeated(found, EXACT)
        vector = await self._vector(question, context)
        if vector is not None and (found := self.cache.alike(scope, question.text, vector)):
            return _repeated(found, SEMANTIC)
        begun = await self._engine.begin(question, context)
        begun.cached = MISS

        def keep(text: str, done: AnswerDone) -> None:
            if done.degraded or begun.degraded or done.finish_reason != "stop" or done.prompt != prompt:
                return
            query = begun.query
            answer = CachedAnswer(question.text, text, done, query.text, query.by, self._clock(), vector)
            self.cache.put(scope, key, answer)

        begun.events = _recorded(begun.events, keep)
        return begun

    async def _scope(self, question: Question, prompt: str, context: RequestContext) -> str | None:
        """Return the scope of the answer, or None when the version of the collection is unknown."""
        try:
            hop = context.for_hop_with_fallback()
            version = await self._services().store.version(question.collection, hop)
        except ArgosyError as error:
            log.warning("answer cache passed over", reason=error.code, request_id=context.request_id)
            return None
        generation = self._generation
        parts = (
            question.collection,
            version,
            question.mode.value,
            question.top_k,
            sorted(question.filters.items()) if isinstance(question.filters, dict) else question.filters,
            (generation.backend, generation.model, generation.base_url, prompt),
            (question.max_tokens, question.max_completion_tokens, question.temperature, question.top_p),
            (question.seed, question.stop),
        )
        return msgspec.json.encode(parts).decode()

    async def _vector(self, question: Question, context: RequestContext) -> list[float] | None:
        """Return the question's vector, or None without semantic search, for a follow-up, or when it cannot be had."""
        if self._settings.mode != "semantic" or question.history:
            return None
        try:
            hop = context.for_hop_with_fallback()
            made = await self._services().embedding.embed([question.text], TextKind.QUERY, hop)
        except ArgosyError as error:
            log.warning("answers not compared by vector", reason=error.code, request_id=context.request_id)
            return None
        return list(unpack(f"<{made.dimensions}f", made.vectors))


def _key(question: Question) -> str:
    turns = [(turn.role, turn.content) for turn in question.history]
    return msgspec.json.encode((" ".join(question.text.split()), turns)).decode()


def _repeated(found: CachedAnswer, how: str) -> BegunAnswer:
    query = Query(found.query, by=found.query_by)
    return BegunAnswer(_replayed(found), GenerateRequest(found.question, []), [], 0.0, query, how)


async def _replayed(found: CachedAnswer) -> AsyncGenerator[AnswerEvent, None]:
    for begin in range(0, len(found.text), PIECE_CHARS):
        yield AnswerDelta(found.text[begin : begin + PIECE_CHARS])
    yield msgspec.structs.replace(found.done, degraded=[])


async def _recorded(
    events: AsyncGenerator[AnswerEvent, None], keep: Callable[[str, AnswerDone], None]
) -> AsyncGenerator[AnswerEvent, None]:
    """Yield the events, and keep the answer once it is complete."""
    text: list[str] = []
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, AnswerDelta):
                text.append(event.text)
            elif isinstance(event, AnswerDone):
                keep("".join(text), event)
            yield event
