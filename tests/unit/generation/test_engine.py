from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec
import pytest

from argosy.contracts.errors import InvalidRequest, Overloaded, UpstreamFailed
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent, AnswerFailed, GenerateRequest
from argosy.contracts.request import Deadline, RequestContext
from argosy.services.generation.engine import GenerationEngine

pytestmark = pytest.mark.unit

CONTEXT = RequestContext("r", Deadline(10.0, lambda: 0.0))
REQUEST = GenerateRequest("When?", [])


class Backend:
    def __init__(self, *events: AnswerEvent | Exception) -> None:
        self.events = events
        self.closed = False

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        try:
            for event in self.events:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed = True

    async def close(self) -> None:
        return None


async def lines(backend: Backend, degraded: list[str] | None = None) -> list[AnswerEvent]:
    engine = GenerationEngine(backend, (degraded if degraded is not None else []).append)
    return [msgspec.json.decode(line, type=AnswerEvent) async for line in await engine.answer(REQUEST, CONTEXT)]


async def test_each_event_is_a_line_and_what_was_degraded_is_counted() -> None:
    degraded: list[str] = []

    events = await lines(Backend(AnswerDelta("a\nb"), AnswerDone([], degraded=["embedding"])), degraded)

    assert events == [AnswerDelta("a\nb"), AnswerDone([], degraded=["embedding"])]
    assert degraded == ["embedding"]


async def test_an_error_before_the_first_event_keeps_its_class() -> None:
    with pytest.raises(Overloaded):
        await lines(Backend(Overloaded("full", retry_after_s=3)))


async def test_an_answer_without_any_event_is_a_failure() -> None:
    with pytest.raises(UpstreamFailed):
        await lines(Backend())


@pytest.mark.parametrize("break_", [UpstreamFailed("It broke."), ValueError("/secret/path")])
async def test_what_breaks_later_ends_the_lines_with_failed_and_shows_no_internals(break_: Exception) -> None:
    *_, last = await lines(Backend(AnswerDelta("a"), break_))

    assert isinstance(last, AnswerFailed)
    assert "secret" not in last.message


async def test_an_answer_that_just_stops_ends_with_failed() -> None:
    assert isinstance((await lines(Backend(AnswerDelta("a"))))[-1], AnswerFailed)


async def test_closing_the_lines_closes_the_backends_answer() -> None:
    backend = Backend(AnswerDelta("a"), AnswerDelta("b"), AnswerDone([]))
    stream = await GenerationEngine(backend).answer(REQUEST, CONTEXT)
    await anext(stream)

    await stream.aclose()

    assert backend.closed


@pytest.mark.parametrize("question", ["", "  \n"])
async def test_an_empty_question_is_refused(question: str) -> None:
    with pytest.raises(InvalidRequest):
        await GenerationEngine(Backend()).answer(GenerateRequest(question, []), CONTEXT)
