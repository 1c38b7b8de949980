from __future__ import annotations

import pytest

from argosy.answering.likeness import may_share_answer

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("What does a lost key cost?", "What do lost keys cost"),
        ("When did Tesla sell AX-100?", "When did Tesla sell the AX-100"),
        ("How many bytes may a file have?", "How many bytes may one file have?"),
    ],
)
def test_two_wordings_of_one_question_may_share_an_answer(first: str, second: str) -> None:
    assert may_share_answer(first, second)
    assert may_share_answer(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("What does AX-100-C weigh?", "What does AX-100-D weigh?"),
        ("What changed in v2.1?", "What changed in v2.11?"),
        ("What happened in 1994?", "What happened in 1995?"),
        ("Who paid Tesla?", "Who paid Edison?"),
        ("What does a lost key cost?", "What does a lost card cost?"),
        ("Is the port open on Sunday?", "Is the port not open on Sunday?"),
        ("When was the port built?", "Where was the port built?"),
        ("How many cranes are there?", "How old are the cranes there?"),
        ("What does max_size do?", "What does min_size do?"),
        ("How fast is C?", "How fast is C++?"),
    ],
)
def test_questions_about_different_things_never_share_an_answer(first: str, second: str) -> None:
    assert not may_share_answer(first, second)
    assert not may_share_answer(second, first)
