"""Words as the ranker compares them."""

from __future__ import annotations

import threading

import pytest

from argosy.answering.words import coverage, idf, stems

pytestmark = pytest.mark.unit


def test_words_are_lowered_stemmed_and_freed_of_stop_words() -> None:
    assert stems("The Ships are PAYING tolls, and the ship's toll!") == ["ship", "pay", "toll", "ship", "toll"]


def test_numbers_and_contractions_stay_whole() -> None:
    assert stems("It isn’t 3.5 or 1,000 café") == ["3.5", "1,000", "café"]


@pytest.mark.parametrize("text", ["", "the of and", "— … !"])
def test_a_text_without_content_has_no_stems(text: str) -> None:
    assert stems(text) == []


def test_a_rarer_stem_weighs_more_and_every_weight_is_positive() -> None:
    weights = idf(["ships pay", "ships sail", "ships wait"])
    assert weights["sail"] > weights["ship"] > 0


def test_coverage_is_the_weighted_share_of_distinct_question_stems() -> None:
    weights = {"ship": 1.0, "toll": 3.0}
    assert coverage(["ship", "toll", "ship"], ["toll", "gate"], weights) == pytest.approx(0.75)
    assert coverage(["ship", "unseen"], ["ship"], weights) == pytest.approx(0.25)
    assert coverage([], ["ship"], weights) == 0.0
    assert coverage(["ship"], ["ship"], {}) == 1.0


def test_threads_do_not_disturb_each_other() -> None:
    wrong: list[list[str]] = []

    def work() -> None:
        for _ in range(300):
            found = stems("harbours paying tolls regularly")
            if found != ["harbour", "pay", "toll", "regular"]:
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
