"""Reading of questions: their parts, and the names that terms define."""

from __future__ import annotations

import pytest

from argosy.answering.identifiers import identifiers_of, named_by
from argosy.answering.questions import contrasted, read_question

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("question", "sides"),
    [
        ("What is the difference between quote and quote_plus?", ["What is quote?", "What is quote_plus?"]),
        ("What's the difference between a soft and a hard limit?", ["What is soft limit?", "What is hard limit?"]),
        ("How does a fetch differ from a pull?", ["What is fetch?", "What is pull?"]),
        ("What lies between Rome and Ostia?", []),
    ],
)
def test_a_question_about_a_difference_has_two_sides(question: str, sides: list[str]) -> None:
    assert contrasted(question) == sides


@pytest.mark.parametrize(
    ("term", "names"),
    [
        ("`urllib.parse.quote(string, safe='/')`", {"quote", "urllib.parse.quote"}),
        ("-r, --remove", {"-r", "--remove"}),
        ("`PYTHONUNBUFFERED`", {"pythonunbuffered"}),
        ("WARNING", set()),
        ("Opening hours", set()),
    ],
)
def test_a_term_defines_its_names(term: str, names: set[str]) -> None:
    assert named_by(term) == names


@pytest.mark.parametrize(
    ("question", "identifiers"),
    [
        ("What is ticket #482 about?", ["#482"]),
        ("Who keeps the client for .NET?", [".NET"]),
        ("What does `.gitignore` hold?", [".gitignore"]),
        ("What does /etc/hall/lamps.conf list?", ["/etc/hall/lamps.conf"]),
        ("Is it for input/output and/or 3/4 of it?", []),
    ],
)
def test_paths_and_names_with_marks_are_identifiers(question: str, identifiers: list[str]) -> None:
    assert identifiers_of(question) == identifiers


@pytest.mark.parametrize("question", ["Are dogs allowed?", "Darf ich rauchen?", "可以带狗吗？", "犬はいますか"])
def test_a_question_that_yes_or_no_answers(question: str) -> None:
    assert read_question(question).asked.yes_no


@pytest.mark.parametrize(
    "question", ["Where are the dogs?", "Wann ist geöffnet?", "犬はどこにいますか", "What can I bring?"]
)
def test_a_question_that_yes_or_no_does_not_answer(question: str) -> None:
    assert not read_question(question).asked.yes_no
