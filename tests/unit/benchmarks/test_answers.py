"""Verdicts on answers: each kind of failure is counted as what it is."""

from __future__ import annotations

from argosy.contracts.generation import Citation
from argosy.evaluation.cases import Case
from benchmarks._answers import Answer, Judged, Passage, Tally, judge

PAGE = "moor.html"
TEXT = "The berth fee is 40 euros per night. The crane fee is 90 euros."
ASKED = Case("1", ("What does a berth cost?",), any=("40 euros",), none=("90 euros",), relevance={PAGE: 1})
ABSENT = Case("2", ("Who is the mayor?",), nothing=True)


def cited(quote: str, name: str = PAGE) -> Citation:
    start = max(0, TEXT.find(quote))
    return Citation(1, "d", name, name, None, [], "c", None, start, start + len(quote), quote, 0.5)


def judged(text: str, *citations: Citation, case: Case = ASKED) -> Judged:
    return judge(case, Answer(text, citations, 12.0), [Passage("d", PAGE, 0, len(TEXT), TEXT)])


def test_an_answer_with_the_expected_text_is_right() -> None:
    one = judged("The berth fee is 40 euros per night. [1]", cited("The berth fee is 40 euros per night."))
    assert (one.verdict, one.false, one.markup, one.refused) == ("right", (), (), False)


def test_an_answer_that_also_states_something_else_is_partly_right_and_false() -> None:
    one = judged(f"{TEXT} [1]", cited(TEXT))
    assert one.verdict == "partly"
    assert one.false == ("states '90 euros'",)


def test_an_answer_from_the_right_page_without_the_expected_text_is_partly_right() -> None:
    one = judged("It depends on the length of the boat. [1]", cited("The berth"))
    assert one.verdict == "partly"


def test_an_answer_from_another_page_is_wrong() -> None:
    assert judged("Boats are nice. [1]", cited("The berth", "other.html")).verdict == "wrong"


def test_a_refusal_is_wrong_where_the_documents_say_and_right_where_they_do_not() -> None:
    text = "The indexed documents do not say."
    assert judged(text).verdict == "refused wrongly"
    assert judged(text, case=ABSENT).verdict == "right"


def test_an_answer_that_no_document_gives_is_false() -> None:
    one = judged("The mayor is Ada. [1]", cited("The berth"), case=ABSENT)
    assert one.verdict == "wrong"
    assert "answers what the documents do not say" in one.false


def test_a_number_that_the_cited_text_lacks_is_false() -> None:
    one = judged("The berth fee is 40 euros, or 77 at night. [1]", cited("The berth fee is 40 euros per night."))
    assert any("77" in why for why in one.false)


def test_what_is_left_of_the_markup_is_named() -> None:
    one = judged(
        "The **berth fee** is [40 euros](fees.html) per night. [1]", cited("The berth fee is 40 euros per night.")
    )
    assert one.markup


def test_the_rank_is_that_of_the_first_passage_of_the_page_with_the_expected_text() -> None:
    passages = [
        Passage("x", "other.html", 0, 20, "A berth: 40 euros. "),
        Passage("d", PAGE, 100, 120, "A berth is a place. "),
        Passage("d", PAGE, 0, len(TEXT), TEXT),
    ]
    assert judge(ASKED, Answer("40 euros", (), 1.0), passages).rank == 3
    assert judge(ASKED, Answer("40 euros", (), 1.0), passages[:2]).rank is None


def test_a_tally_counts_answerable_and_other_questions_apart() -> None:
    refusal = "The indexed documents do not say."
    tally = Tally(
        "dev",
        [
            judged("The berth fee is 40 euros per night. [1]", cited("The berth fee is 40 euros per night.")),
            judged(refusal),
            judged(refusal, case=ABSENT),
            judged("The mayor is Ada. [1]", cited("The berth"), case=ABSENT),
        ],
    )
    counts = tally.counts()
    assert (counts["answerable"], counts["right"], counts["refused wrongly"]) == (2, 1, 1)
    assert (counts["unanswerable"], counts["refused rightly"]) == (2, 1)
    assert tally.reached(3) == 2
    assert tally.first_token_ms() == 12.0
    assert tally.row().startswith("| dev | 2 | 1 | 0 | 0 | 1 |")
    assert len(tally.failures()) == 2
