"""Tests of the selection: the quoted sentences, their number, and the confidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.answering.ranker import ScoredText, Selection, SentenceVectors, StopRule, candidates, select

pytestmark = pytest.mark.unit

HARBOUR = ScoredText("# Opening\nThe harbour opens at six. Gulls cry over the roofs.", 1.0)
TOLLS = ScoredText("Ships pay a toll at the gate. The gate is green.", 0.95)


def ask(question: str, *passages: ScoredText, rule: StopRule | None = None) -> Selection:
    return select(question, passages, candidates(passages), rule=rule)


def test_the_sentence_with_the_questions_words_is_chosen_first() -> None:
    best = ask("Where do ships pay their toll?", HARBOUR, TOLLS).selected[0]
    assert (best.passage_index, best.text) == (1, "Ships pay a toll at the gate.")
    assert TOLLS.text[best.start : best.end] == best.text


def test_a_rare_word_outweighs_common_ones() -> None:
    passage = ScoredText("The ship pays. The ship sails. The ship of Jason waits.", 1.0)
    assert ask("Whose ship is Jason on?", passage).selected[0].text == "The ship of Jason waits."


def test_headings_are_never_candidates() -> None:
    assert [c.sentence.text for c in candidates([HARBOUR])] == [
        "The harbour opens at six.",
        "Gulls cry over the roofs.",
    ]


def test_only_the_best_passages_are_looked_into() -> None:
    passages = [ScoredText(f"Sentence {i}.", i / 10) for i in range(6)]
    assert {c.passage_index for c in candidates(passages)} == {5, 4, 3}


def test_of_equal_sentences_the_better_passage_wins() -> None:
    same = "The harbour opens at six."
    assert (
        ask("When does the harbour open?", ScoredText(same, 0.5), ScoredText(same, 0.9)).selected[0].passage_index == 1
    )


def test_vectors_decide_between_sentences_that_share_no_word_with_the_question() -> None:
    passages = [ScoredText("Gulls cry. Boats moor.", 1.0)]
    vectors = SentenceVectors(np.array([0, 1], np.float32), np.array([[1, 0], [0, 1]], np.float32))
    found = select("Vessels?", passages, candidates(passages), vectors=vectors)
    assert found.selected[0].text == "Boats moor."
    assert found.confidence == pytest.approx(0.5)


def test_given_weights_replace_those_of_the_candidates() -> None:
    passages = [ScoredText("Ships wait. Tolls rise.", 1.0)]
    found = select("ships tolls", passages, candidates(passages), weights={"ship": 1.0, "toll": 9.0})
    assert found.selected[0].text == "Tolls rise."


def test_a_clear_answer_is_quoted_alone_and_an_unclear_one_with_others() -> None:
    clear = ScoredText("The toll for a ship of Jason is five coins. Gulls cry. Roofs shine. Boats moor.", 1.0)
    assert len(ask("What is the toll for a ship of Jason?", clear).selected) == 1
    unclear = ScoredText("Boats moor. Gulls cry. Roofs shine. Ropes dry. Nets hang.", 1.0)
    assert len(ask("What is the toll?", unclear).selected) == 4


def test_no_more_is_quoted_than_the_word_limit_allows_but_always_one_sentence() -> None:
    passage = ScoredText("Boats moor here. " + "Word " * 120 + "end. Gulls cry.", 1.0)
    assert [s.text for s in ask("boats moor", passage, rule=StopRule(mass=2.0)).selected] == ["Boats moor here."]
    long = ScoredText("toll " * 120 + "end.", 1.0)
    assert len(ask("toll", long).selected) == 1


def test_confidence_tells_a_covered_question_from_a_foreign_one() -> None:
    assert ask("When does the harbour open?", HARBOUR).confidence == pytest.approx(1.0)
    assert ask("Who painted the ceiling?", HARBOUR).confidence == 0.0


def test_nothing_to_choose_from_gives_an_empty_selection() -> None:
    assert ask("When?") == Selection([], 0.0)
    assert ask("When?", ScoredText("# Only a heading", 1.0)) == Selection([], 0.0)


@given(
    st.text(max_size=60),
    st.lists(st.builds(ScoredText, st.text(max_size=200), st.floats(0, 1)), max_size=5),
    st.builds(StopRule, st.floats(0, 1), st.integers(1, 5), st.integers(1, 95)),
)
def test_whatever_the_text_the_selection_is_made_of_slices_best_first_within_the_limits(
    question: str, passages: list[ScoredText], rule: StopRule
) -> None:
    found = ask(question, *passages, rule=rule)
    assert [s.score for s in found.selected] == sorted((s.score for s in found.selected), reverse=True)
    assert len(found.selected) <= rule.max_sentences
    assert len(found.selected) <= 1 or sum(len(s.text.split()) for s in found.selected) <= rule.max_words
    assert 0.0 <= found.confidence <= 1.0
    for selected in found.selected:
        assert passages[selected.passage_index].text[selected.start : selected.end] == selected.text
