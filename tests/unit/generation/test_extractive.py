from __future__ import annotations

import msgspec
import numpy as np
import pytest

from argosy.answering.compose import NOTHING_SAID
from argosy.contracts.embedding import QueryVector, TextKind
from argosy.contracts.errors import ArgosyError, DeadlineExceeded, InvalidRequest, Overloaded, Unavailable
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent, GenerateRequest
from argosy.contracts.request import Deadline, RequestContext
from argosy.services.generation.backends.extractive import ExtractiveBackend
from tests.unit.generation.fakes import PASSAGES, TIDES, Embedding

pytestmark = pytest.mark.unit

CONTEXT = RequestContext("r", Deadline(10.0, lambda: 0.0))
REQUEST = GenerateRequest("How often does the tide turn?", PASSAGES)


LIGHT = np.array([0, 1, 0, 0], "<f4").tobytes()


async def answer(embedding: Embedding, request: GenerateRequest = REQUEST, most: int = 1) -> list[AnswerEvent]:
    return [event async for event in ExtractiveBackend(embedding, most).answer(request, CONTEXT)]


async def test_it_quotes_the_best_sentence_and_cites_exactly_that_slice() -> None:
    *deltas, done = await answer(Embedding())

    text = "".join(d.text for d in deltas if isinstance(d, AnswerDelta))
    assert text == "The tide turns twice a day. [1]"
    assert isinstance(done, AnswerDone)
    assert done.degraded == []
    (citation,) = done.citations
    assert citation.quote == "The tide turns twice a day."
    assert TIDES[citation.start - 1000 : citation.end - 1000] == citation.quote
    assert (done.model, done.completion_tokens) == ("extractive", 7)


async def test_words_come_in_groups_that_join_to_the_answer() -> None:
    deltas = (await answer(Embedding(), most=4))[:-1]

    assert len(deltas) > 1
    assert all(isinstance(d, AnswerDelta) and 1 <= len(d.text.split()) <= 4 for d in deltas)


async def test_question_and_sentences_are_embedded_as_what_they_are_with_time_left_for_the_fallback() -> None:
    embedding = Embedding()

    await answer(embedding)

    (sentences, sentence_kind, _), (question, question_kind, context) = embedding.asked
    assert (question, question_kind) == ([REQUEST.question], TextKind.QUERY)
    assert sentence_kind is TextKind.PASSAGE
    assert "Water: Ships wait for high water." in sentences
    assert context.deadline.remaining_s() == pytest.approx(4.0)


async def test_the_vector_that_comes_with_the_question_is_used_in_place_of_a_new_one() -> None:
    embedding = Embedding()
    request = msgspec.structs.replace(REQUEST, question="What is it?", question_vector=QueryVector("m", "", 4, LIGHT))

    *deltas, done = await answer(embedding, request)

    assert [kind for _, kind, _ in embedding.asked] == [TextKind.PASSAGE]
    assert isinstance(done, AnswerDone)
    assert [citation.quote for citation in done.citations] == ["A lighthouse guides ships."]
    assert deltas


@pytest.mark.parametrize(
    "other",
    [
        QueryVector("another", "", 4, LIGHT),
        QueryVector("m", "another", 4, LIGHT),
        QueryVector("m", "", 3, LIGHT[:12]),
        QueryVector("m", "", 4, LIGHT[:15]),
    ],
    ids=["model", "revision", "dimensions", "bytes"],
)
async def test_a_vector_of_another_model_is_not_compared_and_the_question_embedded(other: QueryVector) -> None:
    embedding = Embedding()

    *deltas, done = await answer(embedding, msgspec.structs.replace(REQUEST, question_vector=other))

    assert [kind for _, kind, _ in embedding.asked] == [TextKind.PASSAGE, TextKind.QUERY]
    assert "".join(d.text for d in deltas if isinstance(d, AnswerDelta)) == "The tide turns twice a day. [1]"
    assert isinstance(done, AnswerDone)
    assert done.degraded == []


@pytest.mark.parametrize("error", [Unavailable("x"), Overloaded("x"), DeadlineExceeded("x")])
async def test_without_an_embedding_the_words_decide_and_the_answer_says_so(error: ArgosyError) -> None:
    *deltas, done = await answer(Embedding(error))

    assert "".join(d.text for d in deltas if isinstance(d, AnswerDelta)) == "The tide turns twice a day. [1]"
    assert isinstance(done, AnswerDone)
    assert done.degraded == ["embedding"]


async def test_a_mistake_in_the_request_is_no_reason_to_fall_back() -> None:
    with pytest.raises(InvalidRequest):
        await answer(Embedding(InvalidRequest("x")))


@pytest.mark.parametrize("error", [None, Unavailable("x")])
async def test_a_question_about_something_else_is_not_answered(error: ArgosyError | None) -> None:
    request = GenerateRequest("Quantum chromodynamics?", PASSAGES)

    first, *_, done = await answer(Embedding(error), request)

    assert isinstance(first, AnswerDelta)
    assert NOTHING_SAID.startswith(first.text)
    assert isinstance(done, AnswerDone)
    assert done.citations == []


async def test_without_passages_nothing_is_said_and_nobody_is_asked() -> None:
    embedding = Embedding(Unavailable("x"))

    *_, done = await answer(embedding, GenerateRequest("When?", []))

    assert embedding.asked == []
    assert isinstance(done, AnswerDone)
    assert (done.citations, done.degraded) == ([], [])
