"""Words as answers compare them."""

from __future__ import annotations

import threading

import pytest

from argosy.answering.words import stems

pytestmark = pytest.mark.unit


def test_words_are_lowered_stemmed_and_freed_of_stop_words() -> None:
    assert stems("The Ships are PAYING tolls, and the ship's toll!") == ["ship", "pay", "toll", "ship", "toll"]


def test_numbers_and_contractions_stay_whole() -> None:
    assert stems("It isn’t 3.5 or 1,000 café") == ["3.5", "1,000", "café"]


@pytest.mark.parametrize("text", ["", "the of and", "— … !"])
def test_a_text_without_content_has_no_stems(text: str) -> None:
    assert stems(text) == []


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
