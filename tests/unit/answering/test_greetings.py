"""Messages that ask nothing of the documents."""

from __future__ import annotations

import pytest

from argosy.answering.greetings import greeting

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "said",
    ["Hello!", "Thanks!", "Thank you.", "Ok, thanks", "What can you do?", "Vielen Dank!", "Merci !", "谢谢", "Danke"],
)
def test_a_message_that_asks_nothing_gets_a_short_answer(said: str) -> None:
    assert greeting(said) is not None


@pytest.mark.parametrize("said", ["Thanks to whom was it built?", "What is help?", "Who was thanked?", "", "?"])
def test_a_question_gets_no_greeting(said: str) -> None:
    assert greeting(said) is None
