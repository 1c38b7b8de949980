"""Sentences, each an exact slice of the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.text.sentences import sentence_spans

pytestmark = pytest.mark.unit


def texts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, 0, len(text))]


@pytest.mark.parametrize(
    ("passage", "expected"),
    [
        ("It sank! Did it? Yes.", ["It sank!", "Did it?", "Yes."]),
        ("Dr. Smith met Mrs. Jones. They spoke.", ["Dr. Smith met Mrs. Jones.", "They spoke."]),
        ("The U.S. Navy paid $3.5 million. It sank.", ["The U.S. Navy paid $3.5 million.", "It sank."]),
        ("He lived in the U.S. The law changed.", ["He lived in the U.S.", "The law changed."]),
        ("J. R. R. Tolkien wrote it.", ["J. R. R. Tolkien wrote it."]),
        ("See Fig. 3, e.g. No. 5 on p. 4.", ["See Fig. 3, e.g. No. 5 on p. 4."]),
        ("Is it open? No. The gate is shut.", ["Is it open?", "No.", "The gate is shut."]),
        ("Open till 5 p.m. The gate shuts then.", ["Open till 5 p.m.", "The gate shuts then."]),
        ("Ropes, sails, etc. are sold. Ask.", ["Ropes, sails, etc. are sold.", "Ask."]),
        ('He said "Go." Then he left. (An aside.) End', ['He said "Go."', "Then he left.", "(An aside.)", "End"]),
        ("One line\ngoes on. Next.", ["One line\ngoes on.", "Next."]),
        ("日本語。次の文。", ["日本語。", "次の文。"]),
        ("In 1999. He came.", ["In 1999.", "He came."]),
        ("Wait... what now. Then", ["Wait... what now.", "Then"]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_prose_is_cut_where_sentences_end(passage: str, expected: list[str]) -> None:
    assert texts(passage) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See [the guide. Part 2](a.md). Go on.", ["See [the guide. Part 2](a.md).", "Go on."]),
        ("Type `a. B` now. Then wait.", ["Type `a. B` now.", "Then wait."]),
        ("Call it. `run` starts it.", ["Call it.", "`run` starts it."]),
        ("It silts up.[3] Dredging helps.[^4] End.", ["It silts up.[3]", "Dredging helps.[^4]", "End."]),
    ],
)
def test_links_code_and_note_marks_do_not_mislead(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


PIECES = st.sampled_from(["Dr", "U.S", "a", "Word", "3", ".", "!", "?", "…", "。", " ", "\n", '"', ")", "`", "[", "]("])


@given(st.lists(PIECES, max_size=60).map("".join), st.integers(0, 5))
def test_sentences_are_in_order_and_only_white_space_lies_between(text: str, start: int) -> None:
    at = min(start, len(text))
    for begin, end in sentence_spans(text, at, len(text)):
        assert not text[at:begin].strip()
        assert begin < end
        assert text[begin:end] == text[begin:end].strip()
        at = end
    assert not text[at:].strip()


@pytest.mark.parametrize("part", ["a. ", "U.S.", ". ", "[a](", "`", "*a ", '."', "[1]", "。"])
def test_a_text_made_to_do_harm_takes_no_longer_than_others(part: str) -> None:
    text = part * 60_000
    assert list(sentence_spans(text, 0, len(text)))


def test_the_number_of_a_day_ends_no_sentence() -> None:
    assert texts("It is as of 1. May 2026. Am 3. Oktober ist zu.") == [
        "It is as of 1. May 2026.",
        "Am 3. Oktober ist zu.",
    ]
