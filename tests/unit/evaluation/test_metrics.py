"""Ranking metrics against their definitions, against trec_eval's own code where it is installed, and by hand."""

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


@given(RANKINGS, JUDGEMENTS)
def test_metrics_equal_those_of_trec_eval(ranking: list[str], relevance: dict[str, int]) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    if not ranking:
        return
    measures = {"ndcg_cut_10", "recall_10,100", "recip_rank"}
    judge = pytrec_eval.RelevanceEvaluator({"q": relevance}, measures)
    run = {"q": {document: float(len(ranking) - at) for at, document in enumerate(ranking)}}
    cut = {"q": dict(list(run["q"].items())[:10])}
    theirs = judge.evaluate(run)["q"]
    first = pytrec_eval.RelevanceEvaluator({"q": relevance}, {"recip_rank"}).evaluate(cut)["q"]

    ours = ranking_values(ranking, relevance)

    assert tuple(ours) == RANKING_METRICS
    assert ours["ndcg@10"] == pytest.approx(theirs["ndcg_cut_10"])
    assert ours["recall@10"] == pytest.approx(theirs["recall_10"])
    assert ours["recall@100"] == pytest.approx(theirs["recall_100"])
    assert ours["mrr@10"] == pytest.approx(first["recip_rank"])


def test_metrics_of_a_ranking_worked_out_by_hand() -> None:
    # Gains 3 at rank 1 and 1 at rank 3: 3/1 + 1/2 = 3.5; the best order is 3, 2, 1: 3 + 2/log2(3) + 1/2.
    values = ranking_values(["a", "x", "c"], {"a": 3, "b": 2, "c": 1, "x": 0})

    assert values["ndcg@10"] == pytest.approx(3.5 / (3 + 2 / math.log2(3) + 0.5))
    assert values["recall@10"] == pytest.approx(2 / 3)
    assert values["mrr@10"] == 1.0


def test_a_document_ranks_as_its_best_chunk() -> None:
    assert documents_of(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]
