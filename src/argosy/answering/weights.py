"""Weights of the words of a question among the units of its passages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.answering.questions import AskedQuestion
from argosy.text.rarity import idf

CONTEXT_SHARE = 0.85
"""Share of a word that stands in the context of a unit and not in the unit."""
LEAST_WEIGHT = 0.15
FROM_CHUNKS = 50
"""Number of chunks from which a collection says how rare a word is."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the words of a question among the units of its passages."""

    by_term: Mapping[str, float]
    unseen: float

    def of(self, term: str) -> float:
        """Return the weight of a term; a term that no unit holds weighs as much as the rarest one."""
        return self.by_term.get(term, self.unseen)


@dataclass(frozen=True, slots=True)
class UnitTerms:
    """Terms of a unit and of its context."""

    own: frozenset[str]
    around: frozenset[str]


def word_weights(question: AskedQuestion, read: Sequence[UnitTerms]) -> Weights:
    """Weigh words by how few units hold them, and by how rare they are in the collection where that is known."""
    counts = Counter(term for terms in read for term in terms.own)
    total = len(read)

    unseen = max((idf(count, total) for count in counts.values()), default=1.0)
    by_term: dict[str, float] = {}
    for term in {*counts, *question.weights}:
        weight = max(idf(counts[term], total) if counts[term] else unseen, LEAST_WEIGHT)
        by_term[term] = weight * math.sqrt(rarity(question, term))
    return Weights(by_term, unseen)


def rarity(question: AskedQuestion, term: str) -> float:
    """Return the idf of a term in the collection as a share in (0, 1] of the highest; 1 when it is not known."""
    if question.chunks < FROM_CHUNKS or term not in question.frequencies:
        return 1.0
    count, chunks = question.frequencies[term], question.chunks
    share = idf(count, chunks) / idf(1, chunks)
    return min(1.0, max(share, 0.05))


def coverage(question: AskedQuestion, terms: UnitTerms, weights: Weights, under_question: bool) -> float:
    """Return the weighted share of the question's words that a unit or its context holds."""
    total = sum(weights.of(term) * share for term, share in question.weights.items())
    covered = 0.0
    for term, share in question.weights.items():
        if term in terms.own or (under_question and term in terms.around):
            covered += weights.of(term) * share
        elif term in terms.around:
            covered += weights.of(term) * share * CONTEXT_SHARE
    return covered / total if total else 0.0


def f1_of(asked: set[str], words: set[str], weights: Weights) -> float:
    """Return F1 of two sets of words, weighed."""
    shared = sum(weights.of(term) for term in asked & words)
    total = sum(weights.of(term) for term in asked) + sum(weights.of(term) for term in words)
    return 2 * shared / total if total else 0.0
