"""Ranking metrics, as trec_eval and ir-measures define them: nDCG with linear gain, recall, and reciprocal rank.

A ranking is a list of document ids, best first, each id once. `relevance` maps the ids of judged documents to grades;
a grade of 1 or more means relevant. The value of a query without relevant documents is 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

RANKING_METRICS = ("ndcg@10", "recall@10", "recall@100", "mrr@10")


def ndcg(ranking: Sequence[str], relevance: Mapping[str, int], depth: int) -> float:
    """Return the discounted gain of the first `depth` documents as a share of the best possible one."""
    ideal = _gain(sorted((max(0, grade) for grade in relevance.values()), reverse=True)[:depth])
    if ideal == 0:
        return 0.0
    return _gain([max(0, relevance.get(document, 0)) for document in ranking[:depth]]) / ideal


def recall(ranking: Sequence[str], relevance: Mapping[str, int], depth: int) -> float:
    """Return the share of the relevant documents that are among the first `depth`."""
    relevant = {document for document, grade in relevance.items() if grade > 0}
    return len(relevant.intersection(ranking[:depth])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], relevance: Mapping[str, int], depth: int) -> float:
    """Return 1 / rank of the first relevant document, or 0 when none is among the first `depth`."""
    ranks = (rank for rank, document in enumerate(ranking[:depth], 1) if relevance.get(document, 0) > 0)
    first = next(ranks, None)
    return 0.0 if first is None else 1 / first


def ranking_values(ranking: Sequence[str], relevance: Mapping[str, int]) -> dict[str, float]:
    """Return the value of each of RANKING_METRICS for one query."""
    return {
        "ndcg@10": ndcg(ranking, relevance, 10),
        "recall@10": recall(ranking, relevance, 10),
        "recall@100": recall(ranking, relevance, 100),
        "mrr@10": reciprocal_rank(ranking, relevance, 10),
    }


def documents_of(chunks: Iterable[str]) -> list[str]:
    """Return the documents of ranked chunks, given as the document of each chunk: a document ranks as its best one."""
    return list(dict.fromkeys(chunks))


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))
