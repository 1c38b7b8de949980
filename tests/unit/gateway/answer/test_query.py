from __future__ import annotations

import pytest

from argosy.contracts.errors import InvalidRequest, Unavailable
from argosy.contracts.generation import ChatTurn, StandaloneResponse
from argosy.services.gateway.answer.query import Query, query_of
from argosy.services.gateway.answer.question import Question
from tests.kits import context
from tests.unit.gateway.fakes import Generation

pytestmark = pytest.mark.unit

BEFORE = [ChatTurn("user", "What does the ferry cost?"), ChatTurn("assistant", "Thirty euros [1].")]
FOLLOW_UP = Question("And for children?", 5, history=BEFORE)


async def test_without_a_model_the_rule_carries_the_topic() -> None:
    query = await query_of(FOLLOW_UP, Generation(), None, context())

    assert query == Query("And for children? ferry cost", "ferry cost", "rule")


async def test_a_model_rewrites_a_follow_up_and_its_new_words_are_the_carried_ones() -> None:
    generation = Generation()
    generation.rewritten = StandaloneResponse("What does the ferry cost for children?", "m")

    query = await query_of(FOLLOW_UP, generation, 2.0, context())

    assert query == Query("What does the ferry cost for children?", "ferry cost", "model")


async def test_a_question_that_the_model_repeats_stands_alone() -> None:
    generation = Generation()
    generation.rewritten = StandaloneResponse(FOLLOW_UP.text, "m")

    assert await query_of(FOLLOW_UP, generation, 2.0, context()) == Query(FOLLOW_UP.text)


@pytest.mark.parametrize("failure", [Unavailable("Away."), None])
async def test_a_model_that_fails_or_is_late_is_replaced_by_the_rule_which_is_reported(
    failure: Exception | None,
) -> None:
    generation = Generation()
    generation.rewritten = failure

    query = await query_of(FOLLOW_UP, generation, 0.05, context())

    assert query == Query("And for children? ferry cost", "ferry cost", "rule", fell_back=True)


async def test_an_error_of_the_request_is_passed_on() -> None:
    generation = Generation()
    generation.rewritten = InvalidRequest("Bad.")

    with pytest.raises(InvalidRequest):
        await query_of(FOLLOW_UP, generation, 2.0, context())


async def test_a_first_question_is_not_sent_to_the_model() -> None:
    generation = Generation()
    generation.rewritten = InvalidRequest("It must not be called.")

    assert await query_of(Question("When?", 5), generation, 2.0, context()) == Query("When?")
