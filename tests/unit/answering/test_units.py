"""Answer units of a document: every kind, its context, and its way into a chunk and back."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.answering.units.builder import build_units
from argosy.answering.units.drafts import DraftUnit
from argosy.answering.units.reading import AnswerUnit, read_units
from argosy.answering.units.stored import packed_units
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.contracts.units import UnitFlag, UnitKind, pack, unpack

pytestmark = pytest.mark.unit


def built(text: str, *, markdown: bool = True) -> list[DraftUnit]:
    return build_units(text, markdown=markdown)


def passages(text: str, *spans: tuple[int, int], markdown: bool = True, stored: bool = True) -> list[Passage]:
    spans = spans or ((0, len(text)),)
    packed = list(packed_units(text, built(text, markdown=markdown), spans))
    return [
        Passage(
            Chunk(f"c{n}", "d", 1, n, "guide.md", "guide.md", text[a:b], a, b, units=units if stored else ""),
            1.0 - n / 10,
        )
        for n, ((a, b), units) in enumerate(zip(spans, packed, strict=True))
    ]


def read(text: str, *spans: tuple[int, int], markdown: bool = True) -> list[AnswerUnit]:
    return read_units(passages(text, *spans, markdown=markdown), 9).units


def only(units: list[AnswerUnit], kind: UnitKind) -> list[AnswerUnit]:
    return [unit for unit in units if unit.kind is kind]


def test_a_sentence_knows_its_headings_and_the_sentence_it_refers_back_to() -> None:
    first, second = read("# Harbour\n\n## Crane\n\nThe crane lifts boats. It rests at night.")
    assert (first.text, first.headings, first.previous) == ("The crane lifts boats.", ("Harbour", "Crane"), "")
    assert second.previous == "The crane lifts boats."


def test_a_row_is_read_with_its_header_and_a_repeated_header_is_no_row() -> None:
    text = "| Name | Fee |\n|---|---|\n| Oak | 4 |\n| Name | Fee |\n| Ash | |\n"
    assert [unit.text for unit in read(text)] == ["Name: Oak; Fee: 4", "Name: Ash"]


def test_a_first_row_that_only_captions_the_table_is_not_its_header() -> None:
    text = "| Fees of 2024 | |\n|---|---|\n| Name | Fee |\n| Oak | 4 |\n"
    assert [unit.text for unit in read(text)] == ["Name: Oak; Fee: 4"]


def test_a_table_that_goes_on_without_a_header_takes_the_header_before() -> None:
    rule = "|---|---|---|\n"
    text = f"| Berth | Rent | Since |\n{rule}| B1 | 20 | 2011 |\n\n| B2 | 21 | 2012 |\n{rule}| B3 | 22 | 2013 |\n"
    assert [unit.text for unit in read(text)][1:] == [
        "Berth: B2; Rent: 21; Since: 2012",
        "Berth: B3; Rent: 22; Since: 2013",
    ]


def test_a_list_stands_with_its_lead_in_and_every_item_knows_it() -> None:
    units = read("To leave:\n\n1. Pay the fee.\n2. Untie the boat.\n")
    (whole,) = only(units, UnitKind.LIST)
    assert whole.text == "To leave:\n1. Pay the fee.\n2. Untie the boat."
    assert whole.quote.startswith("To leave:")
    assert whole.flags & UnitFlag.ORDERED
    assert [(unit.text, unit.lead) for unit in only(units, UnitKind.ITEM)] == [
        ("Pay the fee.", "To leave:"),
        ("Untie the boat.", "To leave:"),
    ]


def test_a_long_list_keeps_all_steps_by_their_first_sentences() -> None:
    steps = "".join(f"{n}. Do step number {n} of it. {'More words about it. ' * 6}\n" for n in range(1, 7))
    (whole,) = only(read("How to:\n\n" + steps), UnitKind.LIST)
    assert all(f"Do step number {n} of it." in whole.text for n in range(1, 7))
    assert "More words" not in whole.text


def test_code_stands_with_the_sentence_before_it() -> None:
    (code,) = only(read("Run this:\n\n```sh\nboat --start\n```\n"), UnitKind.CODE)
    assert code.text == "Run this:\n```sh\nboat --start\n```"


@pytest.mark.parametrize(
    "text",
    [
        "`--deep`\n\nDives below. Takes time.",
        "`--deep`\n    Dives below. Takes time.",
        "--deep\n: Dives below. Takes time.",
    ],
)
def test_a_definition_holds_its_term(text: str) -> None:
    (unit,) = only(read(text), UnitKind.DEFINITION)
    assert unit.text.replace("`", "").replace(": :", ":") == "--deep: Dives below. Takes time."


def test_lines_of_key_and_value_are_pairs() -> None:
    assert [unit.text for unit in only(read("Phone: 555\nOpen: daily\n"), UnitKind.PAIR)] == [
        "Phone: 555",
        "Open: daily",
    ]
    assert [unit.text for unit in only(read("---\nauthor: Kim\n---\nText."), UnitKind.PAIR)] == ["author: Kim"]


@pytest.mark.parametrize(
    "text",
    [
        "What is lost?\n\nThe key.",
        "**What is lost?**\n\nThe key.",
        "**What is lost?**\nThe key.",
        "**What is lost?** The key.",
        "Q: What is lost?\nA: The key.",
        "**Q:** What is lost?\n\n**A:** The key.",
        "## What is lost?\n\nThe key.",
        "What is lost?\nThe key.",
    ],
)
def test_a_question_is_the_heading_of_its_answer_and_no_unit(text: str) -> None:
    (unit,) = read(f"# FAQ\n\n{text}\n")
    assert (unit.text, unit.headings) == ("The key.", ("FAQ", "What is lost?"))


def test_links_that_only_lead_elsewhere_are_no_units() -> None:
    text = (
        "- [One](a)\n- [Two](b)\n- [Three](c)\n\n| [Prev](a) | Up | [Next](b) |\n|---|---|---|\n| x | y | z |\n\n"
        "[Home](h)\n\nThe boat sails.\n"
    )
    assert [unit.text for unit in read(text)] == ["The boat sails."]


def test_what_is_shown_is_free_of_markup() -> None:
    text = 'The *old* **pier**[¶](#p) is [long](a.md "t")[3] and ![x](y.png)safe\u00ad ly \\*ok\\*. See `a*b`.\n'
    first, second = read(text)
    assert (first.text, second.text) == ("The old pier is long and safe ly *ok*.", "See `a*b`.")
    assert first.quote == text[first.start : first.end]


def test_words_of_a_quotation_are_marked() -> None:
    quoted, own = read("> It is closed.\n\nIt is open.")
    assert (bool(quoted.flags & UnitFlag.QUOTED), bool(own.flags & UnitFlag.QUOTED)) == (True, False)


def test_a_plain_text_has_sentences_and_lists_too() -> None:
    units = read("# no heading\n\nBring:\n• a rope\n• a coat\n", markdown=False)
    assert [unit.text for unit in only(units, UnitKind.ITEM)] == ["a rope", "a coat"]
    assert units[0].text == "# no heading"


def test_a_unit_that_a_border_of_chunks_cuts_stays_whole_in_both_chunks_and_is_known_as_one() -> None:
    text = "The crane lifts boats of every size. Gulls cry."
    cut = text.index("boats")
    for spans in ([(0, cut)], [(cut, len(text))], [(0, cut), (cut, len(text))]):
        units = read(text, *spans)
        assert units[0].quote == "The crane lifts boats of every size."
        assert len({unit.key for unit in units}) == len(units)


def test_a_chunk_without_units_gets_them_from_its_text() -> None:
    text = "Before.\n\n## Crane\n\nThe crane lifts boats.\n\n- one\n- two\n"
    chunk = Chunk("c", "d", 1, 0, "g.md", "g.md", text[9:], 9, len(text), heading_path=["Harbour", "Crane"])
    units = read_units([Passage(chunk, 1.0)], 5).units
    assert units[0].headings == ("Harbour", "Crane")
    assert all(text[unit.start : unit.end] == unit.quote for unit in units)
    assert {unit.kind for unit in units} == {UnitKind.SENTENCE, UnitKind.ITEM, UnitKind.LIST}


def packed(body: bytes) -> str:
    return "1:" + base64.b64encode(zlib.compress(body)).decode()


BROKEN = ["9:x", "1:{", "1:é", "x", packed(b"[]"), packed(b" " * 2**21)]
STRANGE = [
    packed(b'["","",[],[],[[99,0,1,0,0,0]]]'),
    packed(b'["","",[],[],[[1,0,999,0,0,0]]]'),
    packed(b'["","",[],[],[[1,-1,5,0,0,0]]]'),
]


@pytest.mark.parametrize("units", [*BROKEN, *STRANGE])
def test_units_that_cannot_be_read_never_break_an_answer(units: str) -> None:
    chunk = Chunk("c", "d", 1, 0, "g.md", "g.md", "The crane lifts boats.", 0, 22, units=units)
    assert len(read_units([Passage(chunk, 1.0)], 5).units) == (0 if units in STRANGE else 1)


def test_packed_units_come_back_as_they_were() -> None:
    (packed,) = packed_units("A boat. A gull.", built("A boat. A gull."), [(0, 15)])
    units = unpack(packed)
    assert units is not None
    assert pack(units) == packed


LINES = st.sampled_from(
    ["", "", "# Head", "Ask me?", "**Bold**", "Word one. It two: ", "- item a", "  - inner", "1. step", "    indented",
     "> quoted", "| a | b |", "|---|---|", "| 1 | 2 |", "```", "Key: value", "`--x`", "Q: W?", "A: That.", "• dot", "¶"]
)  # fmt: skip


@given(st.lists(LINES, max_size=25).map("\n".join), st.booleans(), st.integers(1, 40))
@settings(deadline=None, max_examples=200)
def test_offsets_are_exact_whatever_the_document(text: str, markdown: bool, size: int) -> None:
    spans = [(at, min(at + size, len(text))) for at in range(0, len(text), size)]
    if spans:
        found = read_units(passages(text, *spans, markdown=markdown), len(spans))
        for unit in found.units:
            assert unit.quote == text[unit.start : unit.end]
            assert found.windows[unit.passage].slice(unit.start, unit.end) == unit.quote
            assert unit.text.strip()


@pytest.mark.parametrize(
    "part", ["a. ", "- a\n", "| a |\n|---|\n| b |\n", "`x`\n", "Q: a?\nA: b\n", "[a](", "**a?** b\n\n"]
)
def test_a_document_made_to_do_harm_takes_no_longer_than_others(part: str) -> None:
    text = part * 8_000
    spans = [(at, at + 800) for at in range(0, len(text), 800)]
    assert len(list(packed_units(text, built(text), spans))) == len(spans)
