from __future__ import annotations

import pytest

from argosy.answering.follow_up import MAX_CARRIED_WORDS, standalone
from argosy.contracts.generation import ChatTurn

pytestmark = pytest.mark.unit


def asked(*questions: str, answer: str = "") -> str:
    """Return the words carried to the last question."""
    history = []
    for question in questions[:-1]:
        history += [ChatTurn("user", question), ChatTurn("assistant", answer)]
    return standalone(questions[-1], history).carried


@pytest.mark.parametrize(
    ("before", "question", "carried"),
    [
        ("What does a lost key cost?", "And a lost card?", "key cost"),
        ("How is the harbour reached?", "When was it built?", "harbour reached"),
        ("How is the harbour reached?", "What is the depth of it?", "harbour reached"),
        ("What does the ferry cost?", "What about children?", "ferry cost"),
        ("What does the ferry cost?", "Why?", "ferry cost"),
        ("Which pumps does the plant have?", "And the second one?", "pumps plant"),
        ("Which pumps does the plant have?", "How heavy are they?", "pumps plant"),
        ("How do I set AX-100 to manual?", "Does that work with BX-200?", ""),
        ("How many points did the Panthers score?", "And the Broncos?", "points score"),
        ("Who wrote the Iliad?", "What is the Dutch word for it?", "wrote Iliad"),
        ("Tell me about the boatyard.", "Opening hours?", "boatyard"),
        ("Tell me about the boatyard.", "What is the price?", "boatyard"),
        ("Was kostet die Fähre?", "Und für Kinder?", "kostet Fähre"),
        ("Was kostet die Fähre?", "Gilt das auch sonntags?", "kostet Fähre"),
        ("Wann wurde der Hafen gebaut?", "Wer hat ihn bezahlt?", "gebaut Hafen"),
        ("Quand le port a-t-il été construit ?", "Et le phare ?", "port construit"),
        ("¿Cuánto cuesta el ferry?", "¿Y para niños?", "cuesta ferry"),
    ],
)
def test_a_follow_up_carries_the_topic_of_the_turn_before(before: str, question: str, carried: str) -> None:
    assert set(carried.split()) <= set(asked(before, question).split())


@pytest.mark.parametrize(
    "question",
    [
        "How much does the ferry to the island cost?",
        "When did Tesla sell his patents?",
        "Is there a ferry on Sundays?",
        "Which document says that the pump is broken?",
        "How do I reset my password?",
        "Is there a gym?",
        "What is photosynthesis?",
        "Thanks!",
        "thank you",
        "Wie funktioniert die Pumpe AX-100?",
        "¿Qué es la bomba AX-100?",
    ],
)
def test_a_new_topic_carries_nothing_and_is_searched_as_it_was_asked(question: str) -> None:
    history = [ChatTurn("user", "Who paid for the lighthouse?"), ChatTurn("assistant", "The town of Ystad [1].")]

    found = standalone(question, history)

    assert (found.query, found.carried) == (question, "")


def test_the_topic_survives_several_follow_ups() -> None:
    carried = asked("How many points did the Panthers score?", "And in the second half?", "And in the third quarter?")

    assert {"points", "Panthers", "score"} <= set(carried.split())


def test_names_of_the_last_answer_are_carried_where_a_word_refers_back() -> None:
    carried = asked("Who coached the team?", "When was he born?", answer="The coach was Ron Rivera [1].")

    assert {"Ron", "Rivera"} <= set(carried.split())
    assert "[1]" not in carried


def test_a_new_name_takes_the_place_of_the_old_one() -> None:
    assert "Panthers" not in asked("How many points did the Panthers score?", "And the Broncos?")


def test_a_new_number_takes_the_place_of_the_old_one() -> None:
    assert asked("Who won in 1998?", "And in 2002?") == "won"


def test_without_earlier_questions_nothing_is_carried() -> None:
    assert standalone("And then?", [ChatTurn("system", "Be kind.")]).query == "And then?"
    assert asked("Hello", "And the tide?") == ""


def test_the_carried_words_are_bounded() -> None:
    long = " ".join(f"word{n}x" for n in range(500))

    assert len(asked(long, "And it?").split()) <= MAX_CARRIED_WORDS
