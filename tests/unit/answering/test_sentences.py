"""Sentences, list items, table rows and code, each an exact slice of the passage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.answering.sentences import Kind, split

pytestmark = pytest.mark.unit


def texts(passage: str) -> list[str]:
    return [sentence.text for sentence in split(passage)]


def kinds(passage: str) -> list[tuple[Kind, str]]:
    return [(sentence.kind, sentence.text) for sentence in split(passage)]


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


def test_headings_are_known_and_kept_apart() -> None:
    assert kinds("# Harbour #\nIt opens at six.\n\nTolls\n-----\nShips pay.") == [
        (Kind.HEADING, "Harbour"),
        (Kind.PROSE, "It opens at six."),
        (Kind.HEADING, "Tolls"),
        (Kind.PROSE, "Ships pay."),
    ]


def test_a_rule_below_a_quote_or_a_long_paragraph_makes_no_heading() -> None:
    assert kinds("> He said so.\n---\nTwo\nlines.\n---\nEnd.") == [
        (Kind.PROSE, "He said so."),
        (Kind.PROSE, "Two\nlines."),
        (Kind.PROSE, "End."),
    ]


def test_a_list_item_is_one_unit_with_its_continuation_and_without_its_marker() -> None:
    assert kinds("Rules:\n- Pay. Then sail.\n* Wait\n  here\n1. First\n2) Second") == [
        (Kind.PROSE, "Rules:"),
        (Kind.ITEM, "Pay. Then sail."),
        (Kind.ITEM, "Wait\n  here"),
        (Kind.ITEM, "First"),
        (Kind.ITEM, "Second"),
    ]


def test_a_very_long_list_item_is_cut_into_sentences() -> None:
    assert texts("- " + "Ships pay many tolls here. " * 20) == ["Ships pay many tolls here."] * 20


def test_a_code_block_is_one_unit_whatever_is_in_it() -> None:
    code = "```py\nx = 1. Y\n\n# no heading\n- no item\n```"
    assert kinds(f"Before.\n{code}\nAfter.") == [
        (Kind.PROSE, "Before."),
        (Kind.CODE, code),
        (Kind.PROSE, "After."),
    ]
    assert kinds("~~~\nnever closed. Really\n") == [(Kind.CODE, "~~~\nnever closed. Really")]


def test_table_rows_are_units_and_the_head_is_a_heading() -> None:
    assert kinds("| Ship | Toll |\n|------|------|\n| Argo | 5. Paid |\n| Nina | 3 |") == [
        (Kind.HEADING, "| Ship | Toll |"),
        (Kind.ROW, "| Argo | 5. Paid |"),
        (Kind.ROW, "| Nina | 3 |"),
    ]


PARTS = '# ,- ,1. ,> ,|,```,~~~,---,===,\n,\n\n,\r\n,. ,! ,U.S. ,Dr. ,a,Word ,3.5,é,。,\t, ,\u2028,\x0c,_,*,",(,)'
markdown = st.lists(st.sampled_from(PARTS.split(",")), max_size=40).map("".join)


@given(st.one_of(markdown, st.text(max_size=200)))
def test_every_piece_is_an_exact_trimmed_slice_in_order(passage: str) -> None:
    last = 0
    for sentence in split(passage):
        assert passage[sentence.start : sentence.end] == sentence.text
        assert sentence.text == sentence.text.strip() != ""
        assert sentence.start >= last
        last = sentence.end


@given(st.one_of(markdown, st.text(max_size=200)))
def test_no_word_is_lost(passage: str) -> None:
    covered = {i for sentence in split(passage) for i in range(sentence.start, sentence.end)}
    lost = [character for i, character in enumerate(passage) if character.isalpha() and i not in covered]
    assert lost == []
