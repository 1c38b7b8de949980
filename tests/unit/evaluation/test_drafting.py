"""Drafts of questions by rule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.evaluation.drafting import NOT_IN_DOCUMENTS, Draft, Passage, draft, rows_of
from argosy.evaluation.texts import contains

pytestmark = pytest.mark.unit

TABLE = "| Part | Price |\n|---|---|\n| AX-100 | 48.50 |\n| BX-200 | 9.90 |"


def asked(text: str, *headings: str) -> dict[str, str]:
    return {one.question: one.expected for one in draft([Passage("a.md", text, headings)], 9)}


@pytest.mark.parametrize(
    ("text", "question", "expected"),
    [
        ("## Can I bring my dog?\n\nOnly on a leash.", "Can I bring my dog?", "Only on a leash"),
        ("## Who do I call?\nThe watchman, on 555-0142.", "Who do I call?", "555-0142"),
        ("The berth fee is 40 euros per night.", "What is the berth fee?", "40 euros"),
        ("A lost key costs 30 euros, in cash.", "What does a lost key cost?", "30 euros"),
        ("The office opens at 07:00 on all days.", "When does the office open?", "07:00"),
        ("The upper tank holds 900 litres of water.", "How many litres does the upper tank hold?", "900 litres"),
        ("The pier was rebuilt in 1912 after a storm.", "When was the pier rebuilt?", "1912"),
        ("The school is led by Barnaby Quirk.", "Who is the school led by?", "Barnaby Quirk"),
        ("A fender is a cushion between hull and quay.", "What is a fender?", "cushion between hull and quay"),
        (
            "- **Bollard**: a short post to which ropes are tied.",
            "What is Bollard?",
            "short post to which ropes are tied",
        ),
        ("The water temperature is -3 degrees in winter.", "What is the water temperature?", "-3 degrees"),
    ],
)
def test_a_question_is_drafted_from_a_place_that_answers_it(text: str, question: str, expected: str) -> None:
    assert asked(text) == {question: expected}


def test_a_heading_that_the_passage_itself_lacks_is_used() -> None:
    assert asked("Only on a leash.", "Rules", "May I bring a dog?") == {"May I bring a dog?": "Only on a leash"}


def test_each_row_of_a_table_is_asked_about() -> None:
    assert asked(TABLE) == {"What is the price of AX-100?": "48.50", "What is the price of BX-200?": "9.90"}


def test_some_drafts_ask_for_rows_that_do_not_exist() -> None:
    rows = "\n".join(f"| KX-{number} | {number}.50 |" for number in range(100, 140))
    drafts = draft([Passage("a.md", f"| Part | Price |\n|---|---|\n{rows}")], 20)

    unanswerable = [one for one in drafts if one.unanswerable]
    assert len(drafts) == 20
    assert len(unanswerable) == 2
    assert all(one.kind == NOT_IN_DOCUMENTS and one.expected == "" for one in unanswerable)
    assert not any(one.question.rpartition(" of ")[2].rstrip("?") in rows for one in unanswerable)


@pytest.mark.parametrize(
    "text",
    [
        "It is 40 euros per night and day.",
        "Its price is 40 euros per night.",
        "```\nThe berth fee is 40 euros per night.\n```",
        "| For | Price |",
        "**Why.** The engine bounds the number of entries.",
    ],
)
def test_what_cannot_be_understood_alone_is_not_asked(text: str) -> None:
    assert asked(text) == {}


def test_a_question_with_two_answers_is_left_out() -> None:
    both = [Passage("a.md", "The fee is 40 euros per night."), Passage("b.md", "The fee is 44 euros per night.")]

    assert draft(both, 9) == []


def test_drafts_are_spread_over_documents_and_always_the_same() -> None:
    passages = [
        Passage(f"{name}.md", "\n\n".join(f"The fee {name}{n} is {n} euros per night." for n in range(10, 30)))
        for name in "abc"
    ]

    found = draft(passages, 6)

    assert sorted(one.document for one in found) == ["a.md", "a.md", "b.md", "b.md", "c.md", "c.md"]
    assert found == draft(list(reversed(passages)), 6)


def test_rows_have_the_columns_of_a_file_of_questions() -> None:
    row = next(rows_of([Draft("Why?", "so", "a.md", "headings", "because")]))

    assert row == {
        "question": "Why?",
        "expected": "so",
        "document": "a.md",
        "kind": "headings",
        "unanswerable": "",
        "note": "because",
    }


@settings(deadline=None)
@given(st.text(alphabet="ab A|#-*?.12\n:`", max_size=400))
def test_what_is_expected_always_stands_in_the_document(text: str) -> None:
    for one in draft([Passage("a.md", text)], 50):
        assert one.question.endswith("?")
        assert one.unanswerable or contains(text.replace("`", "").replace("**", ""), one.expected)
