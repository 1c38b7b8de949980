"""Fusion of a search's candidates: a max-normalised convex mix of cosine and words, with two supports.

Both scores are exact for every candidate, so none gets the least score of a list that it is missing from. In
measurements the mix ranks better than reciprocal rank fusion on every collection tried, because ranks discard the
differences between scores. The supports are the adjacency of the query's terms and the nearness to the first results
(Rocchio's relevance feedback); they lift recall and order within the first 50 candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy.contracts.store import Candidate, Ranked
from argosy.ranking.scoring import mix

RERANKED = 50
"""Candidates that the supports can lift, the best ones by the mix."""
ADJACENCY_SHARE = 0.3
FEEDBACK_SHARE = 0.2
_GREATEST = 1.0 + ADJACENCY_SHARE + FEEDBACK_SHARE


def fuse(candidates: Sequence[Candidate], share: float) -> list[Ranked]:
    """Return every candidate once, best first, with scores in [0, 1]. `share` is that of the cosine in the mix.

    When one of both scores is 0 for all candidates, the other decides alone. Ties are broken by chunk id, so that the
    same candidates always give the same order.
    """
    unique = [*{candidate.chunk_id: candidate for candidate in candidates}.values()]
    mixed = mix([one.cosine for one in unique], [one.words for one in unique], share)
    order = sorted(range(len(unique)), key=lambda at: (-mixed[at], unique[at].chunk_id))
    lifted = order[:RERANKED]
    scores = [score / _GREATEST for score in mixed]
    feedback = _spread([unique[at].feedback for at in lifted])
    for at, near in zip(lifted, feedback, strict=True):
        scores[at] += (ADJACENCY_SHARE * unique[at].adjacency + FEEDBACK_SHARE * near) / _GREATEST
    ranked = [Ranked(one.chunk_id, score) for one, score in zip(unique, scores, strict=True)]
    return sorted(ranked, key=lambda one: (-one.score, one.chunk_id))


def _spread(values: Sequence[float]) -> list[float]:
    """Return the values spread over [0, 1]; zeros when all are equal."""
    if not values:
        return []
    least, greatest = min(values), max(values)
    if greatest <= least:
        return [0.0] * len(values)
    return [(value - least) / (greatest - least) for value in values]
