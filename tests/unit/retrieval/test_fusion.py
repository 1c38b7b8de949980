from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.store import Candidate
from argosy.services.retrieval.fusion import ADJACENCY_SHARE, FEEDBACK_SHARE, RERANKED, fuse

pytestmark = pytest.mark.unit

WHOLE = 1.0 + ADJACENCY_SHARE + FEEDBACK_SHARE
SCORES = st.floats(-1e6, 1e6, allow_nan=False)
SHARES = st.floats(0.0, 1.0)
CANDIDATES = st.lists(
    st.builds(Candidate, st.text("abcdef", min_size=1, max_size=2), SCORES, SCORES, SHARES, st.floats(-1.0, 1.0)),
    unique_by=lambda one: one.chunk_id,
)


def scores(candidates: list[Candidate], share: float = 0.5) -> dict[str, float]:
    return {ranked.chunk_id: ranked.score for ranked in fuse(candidates, share)}


@given(CANDIDATES, SHARES)
def test_every_candidate_stands_in_the_result_once_with_a_falling_score_in_0_to_1(
    candidates: list[Candidate], share: float
) -> None:
    fused = fuse(candidates, share)

    assert sorted(ranked.chunk_id for ranked in fused) == sorted(one.chunk_id for one in candidates)
    assert all(0 <= ranked.score <= 1 for ranked in fused)
    assert [ranked.score for ranked in fused] == sorted((ranked.score for ranked in fused), reverse=True)


@given(CANDIDATES, SHARES, st.floats(0.01, 100))
def test_the_scale_of_a_score_does_not_matter(candidates: list[Candidate], share: float, factor: float) -> None:
    scaled = [Candidate(c.chunk_id, c.cosine, c.words * factor, c.adjacency, c.feedback) for c in candidates]

    assert scores(scaled, share) == pytest.approx(scores(candidates, share), abs=1e-6)


@given(CANDIDATES, SHARES)
def test_the_order_of_the_candidates_does_not_matter(candidates: list[Candidate], share: float) -> None:
    assert fuse(candidates, share) == fuse(candidates[::-1], share)


def test_both_exact_scores_count_by_their_share() -> None:
    candidates = [Candidate("both", 0.8, 6.0), Candidate("near", 0.4, 0.0), Candidate("said", 0.2, 12.0)]

    expected = {"both": 0.75 / WHOLE, "near": 0.25 / WHOLE, "said": 0.625 / WHOLE}
    assert scores(candidates) == pytest.approx(expected)
    assert max(scores(candidates, 0.1), key=scores(candidates, 0.1).__getitem__) == "said"


def test_without_one_of_the_scores_the_other_decides_alone() -> None:
    assert scores([Candidate("x", 0.0, 8.0), Candidate("y", 0.0, 2.0)], 0.5) == pytest.approx(
        {"x": 1 / WHOLE, "y": 0.25 / WHOLE}
    )
    assert scores([Candidate("x", 0.8), Candidate("y", 0.4)], 0.3) == pytest.approx({"x": 1 / WHOLE, "y": 0.5 / WHOLE})


def test_neighbouring_terms_and_nearness_to_the_first_lift_a_candidate() -> None:
    plain = [Candidate("a", 0.8, 4.0), Candidate("b", 0.8, 3.9)]
    together = [Candidate("a", 0.8, 4.0), Candidate("b", 0.8, 3.9, adjacency=0.3)]
    near = [Candidate("a", 0.8, 4.0, feedback=0.7), Candidate("b", 0.8, 3.9, feedback=0.9)]

    assert [ranked.chunk_id for ranked in fuse(plain, 0.5)] == ["a", "b"]
    assert [ranked.chunk_id for ranked in fuse(together, 0.5)] == ["b", "a"]
    assert [ranked.chunk_id for ranked in fuse(near, 0.5)] == ["b", "a"]


def test_only_the_best_candidates_of_the_mix_are_lifted() -> None:
    candidates = [Candidate(f"{n:02d}", 0.0, 100.0 - n) for n in range(RERANKED)]
    last = Candidate("zz", 0.0, 1.0, adjacency=1.0)

    assert fuse([*candidates, last], 0.5)[-1].chunk_id == "zz"
