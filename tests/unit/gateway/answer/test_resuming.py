"""Tests that a broken extractive answer continues at its offset or reports the break; it is never cut silently."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.errors import Unavailable, UpstreamFailed
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent
from argosy.services.gateway.answer.resuming import resuming

pytestmark = pytest.mark.unit

TEXT = "The harbour opens at six. [1] Ships pay at the gate. [2]"


async def source(pieces: Sequence[str], *, breaks: bool = False) -> AsyncGenerator[AnswerEvent, None]:
    for piece in pieces:
        yield AnswerDelta(piece)
    if breaks:
        raise UpstreamFailed("broke off")
    yield AnswerDone(citations=[])


async def read(events: AsyncGenerator[AnswerEvent, None]) -> tuple[str, bool]:
    text, done = "", False
    async for event in events:
        if isinstance(event, AnswerDelta):
            assert event.text
            text += event.text
        else:
            done = True
    return text, done


@given(st.integers(0, len(TEXT)), st.integers(0, len(TEXT)), st.integers(1, 9))
async def test_the_text_is_whole_wherever_it_broke_and_however_it_is_cut(first: int, second: int, step: int) -> None:
    pieces = [TEXT[n : n + step] for n in range(0, len(TEXT), step)]
    broken_again = source([TEXT[:second]] if second else [], breaks=True)
    events = resuming(
        source([TEXT[:first]] if first else [], breaks=True), [lambda: broken_again, lambda: source(pieces)]
    )
    assert await read(events) == (TEXT, True)


async def test_an_answer_that_says_something_else_is_not_glued_on() -> None:
    events = resuming(source(["The harbour opens "], breaks=True), [lambda: source(["Ships pay at the gate."])])
    with pytest.raises(UpstreamFailed, match="could not be continued"):
        await read(events)


async def test_one_that_ends_earlier_than_what_was_given_is_no_continuation() -> None:
    events = resuming(source(["The harbour opens"], breaks=True), [lambda: source(["The harbour"])])
    with pytest.raises(UpstreamFailed, match="could not be continued"):
        await read(events)


async def test_without_another_source_the_break_is_told() -> None:
    with pytest.raises(UpstreamFailed, match="broke off"):
        await read(resuming(source(["The"], breaks=True), []))


async def test_a_source_that_cannot_be_asked_is_passed_over() -> None:
    async def gone() -> AsyncGenerator[AnswerEvent, None]:
        for reason in ["no replica"]:
            raise Unavailable(reason)
        yield AnswerDone(citations=[])

    events = resuming(source(["The harbour"], breaks=True), [gone, lambda: source([TEXT])])
    assert await read(events) == (TEXT, True)


async def test_an_answer_that_does_not_break_asks_nobody_else() -> None:
    asked: list[str] = []

    def other() -> AsyncGenerator[AnswerEvent, None]:
        asked.append("asked")
        return source([TEXT])

    assert await read(resuming(source([TEXT]), [other])) == (TEXT, True)
    assert asked == []
