"""Near-duplicates among passages, and the places of a document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.services.retrieval.folding import choose as choose_folded
from argosy.services.retrieval.folding import fold

pytestmark = pytest.mark.unit

LONG = " ".join(f"word{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(60))


def passage(key: str, text: str, score: float, document: str = "") -> Passage:
    return Passage(Chunk(key, document or key, 1, 0, "n", "s", text, 0, len(text)), score)


def choose(ranked: list[Passage], top_k: int) -> list[Passage]:
    return choose_folded(fold(ranked), top_k)


def keys(passages: list[Passage]) -> list[str]:
    return [one.chunk.chunk_id for one in passages]


def test_copies_up_to_white_space_and_invisible_characters_become_one_passage_with_a_count() -> None:
    ranked = [
        passage("a", "The port opens.", 0.9),
        passage("b", "The  port\nop\u00adens.", 0.8),
        passage("c", "The port closes.", 0.7),
        passage("d", "The port opens.", 0.6),
    ]
    chosen = choose(ranked, 10)
    assert keys(chosen) == ["a", "c"]
    assert [one.duplicates for one in chosen] == [2, 0]


def test_long_texts_that_hardly_differ_are_near_duplicates_and_short_ones_are_not() -> None:
    ranked = [
        passage("a", LONG, 0.9),
        passage("b", LONG + " added", 0.8),
        passage("c", LONG.replace("wordbe", "other").replace("wordak", "other"), 0.7),
        passage("f", f"It takes 3 days. {LONG} {LONG[:-2]}", 0.65),
        passage("g", f"It takes 5 days. {LONG} {LONG[:-2]}", 0.64),
        passage("d", "AX-100-C costs 12 euros", 0.6),
        passage("e", "AX-100-D costs 12 euros", 0.5),
    ]
    assert keys(choose(ranked, 10)) == ["a", "c", "f", "g", "d", "e"]


def test_a_document_gives_places_to_others_that_score_about_the_same() -> None:
    same = [passage(f"a{n}", f"text {n}", 0.9 - 0.001 * n, "a") for n in range(6)]
    others = [passage("b", "text b", 0.88), passage("c", "text c", 0.87)]
    assert keys(choose([*same, *others], 4)) == ["a0", "a1", "b", "c"]


def test_a_document_keeps_its_places_when_others_score_worse() -> None:
    same = [passage(f"a{n}", f"text {n}", 0.9 - 0.001 * n, "a") for n in range(6)]
    others = [passage("b", "text b", 0.5)]
    assert keys(choose([*same, *others], 4)) == ["a0", "a1", "a2", "a3"]
    assert keys(choose(same, 4)) == ["a0", "a1", "a2", "a3"]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "z", LONG]), st.floats(0, 1)), max_size=20),
    st.integers(1, 10),
)
def test_passages_stay_in_order_and_none_is_lost_while_there_is_room(
    given_: list[tuple[str, str, float]], top_k: int
) -> None:
    ranked = [
        passage(str(n), f"{text} {n % 7}", score, document)
        for n, (document, text, score) in enumerate(sorted(given_, key=lambda one: -one[2]))
    ]
    everything = choose([passage(p.chunk.chunk_id, p.chunk.text, p.score, p.chunk.document_id) for p in ranked], 100)
    chosen = choose(ranked, top_k)
    assert [one.score for one in chosen] == sorted((one.score for one in chosen), reverse=True)
    assert len(chosen) == min(top_k, len(everything))
    assert sum(1 + one.duplicates for one in everything) == len(ranked)
