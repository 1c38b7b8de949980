"""Extractive answer: candidates, selection, and the decision whether the passages answer the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from argosy.answering.compose import Composed, compose
from argosy.answering.ranker import Candidate, ScoredText, SentenceVectors, StopRule, candidates, select
from argosy.contracts.retrieval import Passage

LEAST_CONFIDENCE = 0.30
"""Least mean of cosine and coverage for an answer.

1.2 % of XQuAD's answerable questions are below it, and 77 % of the questions whose article is absent.
"""
LEAST_CONFIDENCE_BY_WORDS = 0.25
"""Least coverage for an answer when there are no vectors."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """Question, its passages (best first) and the candidates to quote.

    The texts of `among` may be embedded for `compose`.
    """

    question: str
    passages: Sequence[Passage]
    scored: list[ScoredText]
    among: list[Candidate]

    @classmethod
    def of(cls, question: str, passages: Sequence[Passage]) -> Extraction:
        scored = [ScoredText(passage.chunk.text, passage.score) for passage in passages]
        return cls(question, passages, scored, candidates(scored))

    @property
    def texts(self) -> list[str]:
        """Texts of the candidates, in the order that `SentenceVectors.sentences` has."""
        return [candidate.sentence.text for candidate in self.among]

    def compose(self, max_sentences: int, vectors: SentenceVectors | None = None) -> Composed:
        """Return the answer. Without `vectors`, only words decide."""
        rule = StopRule(max_sentences=max_sentences)
        selection = select(self.question, self.scored, self.among, vectors=vectors, rule=rule)
        least = LEAST_CONFIDENCE_BY_WORDS if vectors is None else LEAST_CONFIDENCE
        return compose(selection.selected if selection.confidence >= least else [], self.passages)
