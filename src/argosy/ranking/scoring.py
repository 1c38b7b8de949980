"""Scores of candidates: the mix of cosine and words, words by the best alternative, and the adjacency of terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from argosy.ranking.query import Reading
from argosy.ranking.vocabulary import Vocabulary
from argosy.ranking.weighing import K1, Tokens

KNOWN_SHARE = 0.5
"""Share of the cosine in the mix for a language that the model knows."""
FOREIGN_SHARE = 0.3
"""Share of the cosine for a language that the model does not know."""


def mix(cosines: Sequence[float], words: Sequence[float], share: float) -> list[float]:
    """Return share · cosine + (1 - share) · words for each candidate, each divided by its greatest value, in [0, 1].

    Negative cosines count as 0. When all values of one kind are 0, the other kind decides alone.
    """
    near = _normalised(cosines)
    said = _normalised(words)
    if not any(near):
        return said
    if not any(said):
        return near
    return [share * a + (1.0 - share) * b for a, b in zip(near, said, strict=True)]


def _normalised(scores: Sequence[float]) -> list[float]:
    greatest = max(scores, default=0.0)
    return [max(0.0, score) / greatest if greatest > 0.0 else 0.0 for score in scores]


def word_score(reading: Reading, own: Mapping[int, float], vocabulary: Vocabulary) -> float:
    """Return the BM25F score of a chunk with the term weights `own`. The best alternative of each query term counts."""
    total = 0.0
    for group in reading.groups:
        best = 0.0
        for term, factor in group.alternatives.items():
            weight = own.get(term)
            if weight is not None:
                best = max(best, factor * weight * vocabulary.idf(term))
        total += group.repeats * best
    return total


def adjacency(reading: Reading, candidates: Sequence[Tokens], vocabulary: Vocabulary) -> list[float]:
    """Return for each candidate the share in [0, 1] of the query's neighbouring terms that it has side by side.

    A pair weighs the sum of its terms' inverse document frequencies and saturates with its number of occurrences.
    """
    pairs = [(a, b) for a, b in zip(reading.sequence, reading.sequence[1:], strict=False) if a != b]
    if not pairs or not candidates:
        return [0.0] * len(candidates)
    boundary = np.zeros(1, "<u4")
    joined = np.concatenate([part for tokens in candidates for part in (tokens, boundary)])
    owner = np.repeat(np.arange(len(candidates)), [len(tokens) + 1 for tokens in candidates])[:-1]
    left, right = joined[:-1], joined[1:]
    total = 0.0
    scores = np.zeros(len(candidates))
    for first, second in pairs:
        weight = vocabulary.idf(first) + vocabulary.idf(second)
        total += weight
        counts = np.bincount(owner[(left == first) & (right == second)], minlength=len(candidates))
        scores += weight * counts / (counts + K1)
    found: list[float] = (scores / total).tolist()
    return found
