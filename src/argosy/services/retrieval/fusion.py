"""Two ranked lists to one: a max-normalised convex mix of cosine and BM25.

Measured against reciprocal rank fusion it ranks better on every collection tried (MEASURED.md, "What
moves quality"): ranks throw away how sure each list is.
"""

from __future__ import annotations

from collections.abc import Sequence

from argosy.contracts.store import Ranked

DENSE_SHARE = 0.5


def fuse(dense: Sequence[Ranked], lexical: Sequence[Ranked]) -> list[Ranked]:
    """Every chunk of either list once, best first, scores in [0, 1].

    A chunk that the dense list lacks counts with that list's minimum (its cosine is at most that), one
    that the lexical list lacks with 0 (it shares no term with the query). A list that is empty takes no
    share: then the other list's order stands. Ties are broken by chunk id, so that the same lists always
    give the same order.
    """
    if not dense or not lexical:
        return _ranked(_normalised(dense or lexical))
    cosines, weights = _normalised(dense), _normalised(lexical)
    missing = min(cosines.values())
    return _ranked(
        {
            chunk_id: DENSE_SHARE * cosines.get(chunk_id, missing) + (1 - DENSE_SHARE) * weights.get(chunk_id, 0.0)
            for chunk_id in cosines | weights
        }
    )


def _normalised(ranked: Sequence[Ranked]) -> dict[str, float]:
    """Score over the list's greatest, in [0, 1]; what is not positive counts as 0. A repeated id keeps its best."""
    greatest = max((item.score for item in ranked), default=0.0)
    scores: dict[str, float] = {}
    for item in ranked:
        share = item.score / greatest if greatest > 0 else 0.0
        scores[item.chunk_id] = max(share, scores.get(item.chunk_id, 0.0))
    return scores


def _ranked(scores: dict[str, float]) -> list[Ranked]:
    return [Ranked(chunk_id, score) for chunk_id, score in sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))]
