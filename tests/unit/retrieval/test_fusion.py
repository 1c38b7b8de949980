from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.store import Ranked
from argosy.services.retrieval.fusion import fuse

pytestmark = pytest.mark.unit

SCORES = st.floats(-1e6, 1e6, allow_nan=False)
LISTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), SCORES).map(
    lambda scores: sorted((Ranked(k, v) for k, v in scores.items()), key=lambda r: -r.score)
)


@given(LISTS, LISTS)
def test_every_chunk_of_either_list_stands_in_the_result_once(dense: list[Ranked], lexical: list[Ranked]) -> None:
    fused = [ranked.chunk_id for ranked in fuse(dense, lexical)]

    assert sorted(fused) == sorted({r.chunk_id for r in [*dense, *lexical]})


@given(LISTS, LISTS)
def test_scores_are_in_0_to_1_and_fall(dense: list[Ranked], lexical: list[Ranked]) -> None:
    scores = [ranked.score for ranked in fuse(dense, lexical)]

    assert all(0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)


@given(LISTS, st.floats(0.01, 100))
def test_the_scale_of_a_list_does_not_matter(lexical: list[Ranked], factor: float) -> None:
    dense = [Ranked("a", 0.9), Ranked("b", 0.5)]
    scaled = [Ranked(r.chunk_id, r.score * factor) for r in lexical]

    before = {r.chunk_id: r.score for r in fuse(dense, lexical)}
    after = {r.chunk_id: r.score for r in fuse(dense, scaled)}

    assert after == pytest.approx(before, abs=1e-6)


@given(LISTS, LISTS)
def test_the_order_of_equal_scores_does_not_depend_on_the_order_of_the_lists(
    dense: list[Ranked], lexical: list[Ranked]
) -> None:
    assert fuse(dense, lexical) == fuse(dense[::-1], lexical[::-1])


def test_a_chunk_missing_from_the_dense_list_counts_with_that_lists_minimum_and_from_the_lexical_with_0() -> None:
    fused = fuse([Ranked("both", 0.8), Ranked("dense", 0.4)], [Ranked("both", 6.0), Ranked("words", 12.0)])

    assert {r.chunk_id: r.score for r in fused} == pytest.approx({"both": 0.75, "words": 0.75, "dense": 0.25})


def test_one_list_alone_keeps_its_order_and_its_best_has_score_1() -> None:
    words = [Ranked("x", 8.0), Ranked("y", 2.0)]

    assert fuse([], words) == [Ranked("x", 1.0), Ranked("y", 0.25)]
    assert fuse(words, []) == [Ranked("x", 1.0), Ranked("y", 0.25)]
    assert fuse([], []) == []
