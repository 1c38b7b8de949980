"""Judgements of answers: content, refusals, citations and readability."""

from __future__ import annotations

import pytest

from argosy.contracts.generation import Citation
from argosy.evaluation.cases import Case
from argosy.evaluation.citations import Stored, citation_faults
from argosy.evaluation.judging import Found, judge_answer, judge_failure, judge_ranking, judge_search, ranking
from argosy.evaluation.readability import readability_faults
from argosy.evaluation.texts import contains, statements, word_count

pytestmark = pytest.mark.unit

TEXT = "# Fees\n\nThe mooring fee is 44 euros per day. A lost key costs thirty euros, and more later.\n"
STORED = {"d": [Stored(0, len(TEXT), TEXT)]}


def cite(quote: str, index: int = 1, start: int | None = None, **changes: object) -> Citation:
    at = TEXT.find(quote) if start is None else start
    fields: dict[str, object] = {
        "index": index,
        "document_id": "d",
        "name": "fees.md",
        "source": "file:///fees.md",
        "title": None,
        "heading_path": ["Fees"],
        "chunk_id": "c",
        "page": None,
        "start": at,
        "end": at + len(quote),
        "quote": quote,
        "score": 1.0,
    }
    return Citation(**{**fields, **changes})  # type: ignore[arg-type]


FEE = "The mooring fee is 44 euros per day."


@pytest.mark.parametrize(
    ("text", "expected", "holds"),
    [
        ("It costs **44 euros**.", "44 Euros", True),
        ("It costs 44.5 euros.", "44", False),
        ("It costs 144 euros.", "44", False),
        ("It costs 44.", "44", True),
        ("High tides rise.", "tide", True),
        ("The tank holds 10⁶ litres.", "106", False),
        ("Tom’s “boat” – red", 'tom\'s "boat" - red', True),
        ("Ho\u00adtel", "hotel", True),
        ("snake_case_name", "snake_case_name", True),
        ("44 or 45 euros, then 5", "5", True),
    ],
)
def test_an_expected_text_is_found_in_an_answer(text: str, expected: str, holds: bool) -> None:
    assert contains(text, expected) is holds


def test_an_answer_is_divided_into_statements_with_their_markers() -> None:
    assert statements("One. [1] Two [2][3] three") == [("One.", (1,)), ("Two", (2, 3)), ("three", ())]
    assert statements("```\ncode\n```\n[1]") == [("```\ncode\n```", (1,))]


def test_words_are_counted_without_markers_and_in_text_without_spaces() -> None:
    assert word_count("It costs 44.50 euros [1].") == 4
    assert word_count("停泊费四十元") == 3


@pytest.mark.parametrize(
    ("answer", "citations", "said"),
    [
        (f"{FEE} [1]", [cite(FEE)], None),
        (f"{FEE} [2]", [cite(FEE)], "markers without a citation: [2]"),
        (f"{FEE} [1]", [cite(FEE), cite(FEE, index=2)], "citations without a marker: [2]"),
        (f"{FEE} [1]", [cite(FEE, start=3)], "differs from the document's text"),
        (f"{FEE} [1]", [cite(FEE, end=9)], "length is not that of its span"),
        (f"{FEE} [1]", [cite(FEE, document_id="other")], "no passage was found"),
        (f"{FEE} [1] And it is free on Sundays.", [cite(FEE)], "no marker follows"),
        ("The mooring fee is 47 euros per day. [1]", [cite(FEE)], "does not hold 47"),
        ("Harbour pilots guide every foreign vessel. [1]", [cite(FEE)], "does not hold harbour"),
        ("Per day, mooring costs 44 euros. [1]", [cite(FEE)], None),
        ("1. The mooring fee is 44 euros. [1]", [cite(FEE)], None),
    ],
)
def test_citations_must_match_their_markers_the_document_and_the_statement(
    answer: str, citations: list[Citation], said: str | None
) -> None:
    faults = citation_faults(answer, citations, STORED)

    assert (said is None) == (not faults), faults
    assert said is None or any(said in fault for fault in faults)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("See [the fees](fees.html) for more. [1]", "a link"),
        ("Fees¶ are due. [1]", "a permalink sign"),
        ("The **fee** is 44 euros. [1]", "bold marks"),
        ("## Fees\nThey are due. [1]", "a heading mark"),
        ("The fee<br>is 44 euros. [1]", "an HTML tag"),
        ("Fees &amp; dues are paid. [1]", "an HTML entity"),
        (r"The name is a\_b here. [1]", "an escaped character"),
        ("| Fee | 44 | [1]", "a bar outside of a table"),
        ("and more is due on the following day. [1]", "begins inside a sentence"),
        ("The mooring fee is due on the [1]", "ends inside a sentence"),
    ],
)
def test_markup_and_broken_sentences_are_named(answer: str, said: str) -> None:
    assert any(fault.startswith(said) for fault in readability_faults(answer)), readability_faults(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "The mooring fee is 44 euros per day. [1]",
        "| Fee | Euros |\n|---|---|\n| Day | 44 |\n[1]",
        "```\nls | wc -l  # **all**\n```\n[1]",
        "Use `a | b` and `**kwargs` there. [1]",
        "It holds 10**6 litres, and f(**kwargs) counts them. [1]",
        "1. open the gate and wait for the pilot\n2. sail in [1]",
        "Fee per day: 44 euros [1]",
        "Write <file> to the disk before noon. [1]",
        "Thirty euros [1]",
        "停泊费是四十元。 [1]",
    ],
)
def test_plain_readable_answers_have_no_fault(answer: str) -> None:
    assert readability_faults(answer) == []


def test_the_text_around_a_quote_decides_whether_a_sentence_was_cut() -> None:
    cut = "A lost key costs thirty euros"
    heading = "the long heading of this small page"
    text = f"{heading}\n\n{TEXT}"
    stored = {"d": [Stored(0, len(text), text)]}
    quoted = cite(heading, start=0)

    assert any("ends inside" in fault for fault in readability_faults(f"{cut} [1]", [cite(cut)], STORED))
    assert readability_faults(f"{heading} [1]", [quoted], stored) == []


def test_an_answer_is_right_when_it_holds_what_is_expected() -> None:
    case = Case("1", ("What is the fee?",), any=("44 euros", "44 EUR"), none=("47",))

    judged = judge_answer(case, f"{FEE} [1]", [cite(FEE)], STORED)

    assert judged.wrong == []
    assert judged.values == {
        "right": 1.0,
        "refused_wrongly": 0.0,
        "answer_containment": 1.0,
        "answer_words": 8.0,
        "citations_hold": 1.0,
        "readable": 1.0,
    }


def test_a_refusal_is_right_only_where_the_documents_do_not_say() -> None:
    refusal = "The indexed documents do not say."
    answerable = Case("1", ("What is the fee?",), any=("44",))
    unanswerable = Case("2", ("Who is mayor?",), nothing=True)

    wrong = judge_answer(answerable, refusal, [], {})
    right = judge_answer(unanswerable, refusal, [], {})
    invented = judge_answer(unanswerable, f"{FEE} [1]", [cite(FEE)], STORED)

    assert wrong.values == {"right": 0.0, "refused_wrongly": 1.0, "answer_containment": 0.0}
    assert right.values == {"right": 1.0, "refused_rightly": 1.0}
    assert (invented.values["right"], invented.values["refused_rightly"]) == (0.0, 0.0)
    assert invented.wrong[0] == "answered what the documents do not say"


def test_literal_cases_are_compared_as_they_stand() -> None:
    literal = Case("1", ("How much?",), all=("4.5",), none=("106",), literal=True)

    assert judge_answer(literal, "It is 14.5. [1]", [cite(FEE)], STORED).values["right"] == 1.0
    assert judge_answer(literal, "It is 4.5, or 1067. [1]", [cite(FEE)], STORED).wrong[0] == "has '106'"


def test_a_search_is_judged_by_its_passages() -> None:
    case = Case("1", ("gebühren",), searched=True, all=("Gebühren",), first="fees.md")
    fees, other = Found("d", "fees.md", "s", "Gebühren"), Found("e", "other.md", "t", "Gebühren")

    assert judge_search(case, [fees, other]).values == {"right": 1.0}
    assert judge_search(case, [other, fees]).wrong == ["first is 'other.md', not 'fees.md'"]
    assert judge_search(case, []).values == {"right": 0.0}


def test_documents_are_recognised_by_id_source_name_and_path() -> None:
    hits = [
        Found("id-1", "a.md", "file:///docs/part/a.md", ""),
        Found("id-1", "a.md", "file:///docs/part/a.md", ""),
        Found("id-2", "b.md", "file:///docs/b.md", ""),
        Found("id-3", "c.md", "doc-c", ""),
    ]
    case = Case("1", ("?",), relevance={"part/a.md": 1, "doc-c": 1})

    assert ranking(case, hits) == ["part/a.md", "file:///docs/b.md", "doc-c"]
    assert judge_ranking(case, hits)["recall@10"] == 1.0


def test_an_error_counts_as_a_wrong_answer() -> None:
    judged = judge_failure(Case("1", ("?",), any=("x",)), "The fleet is gone.")

    assert judged.values == {"right": 0.0, "answer_containment": 0.0}
