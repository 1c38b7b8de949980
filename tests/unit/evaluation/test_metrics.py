"""Ranking metrics against their definitions, against values of ir-measures, and by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.evaluation.metrics import RANKING_METRICS, documents_of, ndcg, ranking_values, recall, reciprocal_rank

pytestmark = pytest.mark.unit

IDS = st.sampled_from([f"d{number}" for number in range(30)])
RANKINGS = st.lists(IDS, unique=True, max_size=30)
JUDGEMENTS = st.dictionaries(IDS, st.integers(-1, 4), min_size=1, max_size=20)
REFERENCE: tuple[tuple[str, str, tuple[float, float, float, float]], ...] = (
    (
        "d36 d37",
        "d9:-1 d25:0 d3:-1 d4:1 d34:1 d6:-1 d23:3 d37:1 d13:-1 d1:0 d2:2 d31:2 d28:1",
        (0.09321, 0.142857, 0.142857, 0.5),
    ),
    (
        "d34 d27 d20 d29 d36 d23 d19 d15 d11 d22 d24 d7 d2 d18 d9 d16 d32 d10 d14 d25 d33 d38",
        "d3:-1 d14:1 d2:1 d35:2 d8:0 d18:0 d26:-1 d9:1 d7:2 d34:-1 d32:1 d17:-1 d33:1 d21:0 d5:1",
        (0.0, 0.0, 0.75, 0.0),
    ),
    (
        "d20 d21 d22 d31 d29 d4 d5 d17 d30 d37 d38 d2 d1 d23 d36 d9 d39 d18 d35",
        "d32:1 d26:-1 d10:2 d21:-1 d9:3 d31:1",
        (0.082941, 0.25, 0.5, 0.25),
    ),
    (
        "d24 d14 d9 d5 d11 d37 d38 d33 d0 d15 d26 d18",
        ("d18:1 d24:3 d22:1 d1:-1 d29:0 d37:1 d10:1 d7:1 d31:0 d36:0 d6:3 d38:1 d9:3 d4:1 d23:0 d32:2 d12:1"),
        (0.561876, 0.333333, 0.416667, 1.0),
    ),
    (
        "d29 d35",
        "d16:0 d18:2 d0:3 d9:1 d26:1 d34:2 d23:2 d20:2",
        (0.0, 0.0, 0.0, 0.0),
    ),
    (
        "d16 d22 d38 d23 d30",
        "d25:-1 d39:-1 d38:-1 d6:1 d30:0 d37:1 d3:-1 d12:0 d4:1 d36:-1 d14:-1 d5:3 d33:0 d10:1 d19:1",
        (0.0, 0.0, 0.0, 0.0),
    ),
)
"""Rankings, judgements, and what ir-measures 0.4.3 gives for them: nDCG@10, R@10, R@100 and RR@10."""


def naive_ndcg(ranking: Sequence[str], relevance: Mapping[str, int], depth: int) -> float:
    gained = 0.0
    for position in range(min(depth, len(ranking))):
        grade = relevance.get(ranking[position], 0)
        if grade > 0:
            gained += grade / (math.log(position + 2) / math.log(2))
    best = 0.0
    for position, grade in enumerate(sorted((g for g in relevance.values() if g > 0), reverse=True)):
        if position < depth:
            best += grade / (math.log(position + 2) / math.log(2))
    return gained / best if best else 0.0


@given(RANKINGS, JUDGEMENTS, st.integers(1, 40))
def test_ndcg_equals_its_definition(ranking: list[str], relevance: dict[str, int], depth: int) -> None:
    assert ndcg(ranking, relevance, depth) == pytest.approx(naive_ndcg(ranking, relevance, depth))


@given(RANKINGS, JUDGEMENTS, st.integers(1, 40))
def test_recall_and_reciprocal_rank_equal_their_definitions(
    ranking: list[str], relevance: dict[str, int], depth: int
) -> None:
    relevant = [document for document, grade in relevance.items() if grade >= 1]
    hits = [document for document in ranking[:depth] if document in relevant]
    assert recall(ranking, relevance, depth) == (len(hits) / len(relevant) if relevant else 0.0)
    assert reciprocal_rank(ranking, relevance, depth) == (1 / (ranking.index(hits[0]) + 1) if hits else 0.0)


@pytest.mark.parametrize(("ranked", "judged", "theirs"), REFERENCE)
def test_metrics_equal_those_of_ir_measures(ranked: str, judged: str, theirs: tuple[float, ...]) -> None:
    relevance = {document: int(grade) for document, grade in (pair.split(":") for pair in judged.split())}

    ours = ranking_values(ranked.split(), relevance)

    assert tuple(ours) == RANKING_METRICS
    assert list(ours.values()) == pytest.approx(theirs, abs=1e-6)


def test_metrics_of_a_ranking_worked_out_by_hand() -> None:
    # Gains 3 at rank 1 and 1 at rank 3: 3/1 + 1/2 = 3.5; the best order is 3, 2, 1: 3 + 2/log2(3) + 1/2.
    values = ranking_values(["a", "x", "c"], {"a": 3, "b": 2, "c": 1, "x": 0})

    assert values["ndcg@10"] == pytest.approx(3.5 / (3 + 2 / math.log2(3) + 0.5))
    assert values["recall@10"] == pytest.approx(2 / 3)
    assert values["mrr@10"] == 1.0


def test_a_document_ranks_as_its_best_chunk() -> None:
    assert documents_of(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]
