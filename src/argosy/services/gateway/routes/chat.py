"""Route `POST /v1/chat/completions`, in OpenAI's shape, streamed or not."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.contracts.codec import JSON
from argosy.contracts.request import CACHE_HEADER
from argosy.services.gateway.answer.caching import CachingEngine
from argosy.services.gateway.answer.engine import AnswerEngine, BegunAnswer, WholeAnswer
from argosy.services.gateway.answer.fallback import extractive_answer
from argosy.services.gateway.answer.question import HISTORY_QUESTIONS, question_of
from argosy.services.gateway.answer.sse import CompletionStream, EventStream
from argosy.services.gateway.bodies import ChatBody
from argosy.services.gateway.gateway import DEGRADED, Gateway, degraded_header
from argosy.services.gateway.reading import limit_bytes, read
from argosy.services.gateway.schema import EVENT_STREAM
from argosy.services.gateway.shapes import AssistantMessage, Choice, Completion, CompletionChunk, Usage
from argosy.serving.app import until_gone
from argosy.serving.middleware import context_of
from argosy.serving.openapi import EVENT, TEXT, header

CACHED = header(CACHE_HEADER, TEXT, "How the answer cache served the answer: exact, semantic or miss; absent when off.")


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["chat"])
    settings = gateway.settings
    answers = {200: {JSON: Completion, EVENT_STREAM: EVENT}}
    described = gateway.api.route(answers, (404,), takes=ChatBody, headers=[DEGRADED, CACHED])
    most_bytes = limit_bytes((HISTORY_QUESTIONS + 1) * settings.max_question_chars)
    generation = gateway.kit.fleet.services.generation
    engine = AnswerEngine(
        lambda: gateway.upstream,
        lambda asked: extractive_answer(asked, generation.max_sentences),
        settings.first_token_timeout_s,
        resumes=generation.backend == "extractive",
        rewrite_limit_s=None if generation.backend == "extractive" else generation.rewrite_timeout_s,
    )

    caching = CachingEngine(engine, lambda: gateway.upstream, settings.answer_cache, generation)

    @routes.post("/v1/chat/completions", openapi_extra=described)
    async def chat(request: Request) -> Response:
        """Answer a question from the documents, with markers like [1] in the text and the citations beside it."""
        context = context_of(request.scope)
        started_s = time.perf_counter()
        body = await read(request, ChatBody, most_bytes)
        question = question_of(body, settings.max_question_chars, settings.context_passages)
        begun = await until_gone(request, caching.begin(question, context), context)
        cache = {CACHE_HEADER: begun.cached} if begun.cached else {}
        timings = _timings(begun, started_s)
        if body.stream:
            stream = CompletionStream(
                CompletionChunk(_new_id(), int(time.time()), body.model, []),
                begun,
                include_usage=body.stream_options is not None and body.stream_options.include_usage,
                timings=timings,
                on_degraded=gateway.count_degraded,
                on_broken=gateway.kit.metrics.count_broken_stream,
            )
            return EventStream(stream.encode(begun.events, context), degraded_header(begun.degraded) | cache)
        whole = await until_gone(request, engine.finish(begun), context)
        return gateway.json(_completion(body.model, whole, begun, timings()), whole.done.degraded, cache)

    return routes


def _completion(model: str, whole: WholeAnswer, begun: BegunAnswer, timings_ms: dict[str, float]) -> Completion:
    done = whole.done
    return Completion(
        id=_new_id(),
        created=int(time.time()),
        model=model,
        choices=[Choice(AssistantMessage(whole.text), done.finish_reason)],
        usage=Usage(done.prompt_tokens, done.completion_tokens, done.prompt_tokens + done.completion_tokens),
        citations=done.citations,
        degraded=done.degraded,
        answered_by=done.model,
        timings_ms=timings_ms,
        query=begun.query.text,
        query_by=begun.query.by,
        cached=begun.served_by_cache,
        unsupported=done.unsupported,
        prompt=done.prompt,
    )


def _timings(begun: BegunAnswer, started_s: float) -> Callable[[], dict[str, float]]:
    """Return a function that gives milliseconds since the request's arrival; `retrieve` is the retrieval alone."""
    first_token_ms = _since_ms(started_s)
    return lambda: {"retrieve": begun.retrieve_ms, "first_token": first_token_ms, "total": _since_ms(started_s)}


def _since_ms(started_s: float) -> float:
    return round((time.perf_counter() - started_s) * 1000, 3)


def _new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"
