"""One extractive answer from beginning to end: what may be quoted, then which of it is, or that nothing says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from argosy.answering.compose import Composed, compose
from argosy.answering.ranker import Candidate, ScoredText, SentenceVectors, StopRule, candidates, select
from argosy.contracts.retrieval import Passage

LEAST_CONFIDENCE = 0.30
"""Half of cosine plus coverage: below it 1.2 % of XQuAD's answerable questions fall, and 77 % of those whose article
is absent."""
LEAST_CONFIDENCE_BY_WORDS = 0.25
"""Coverage alone, without vectors."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """A question to passages, best first. `among` is what may be quoted; its texts may be embedded for `compose`."""

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
        """The text of each candidate, in the order `SentenceVectors.sentences` has."""
        return [candidate.sentence.text for candidate in self.among]

    def compose(self, max_sentences: int, vectors: SentenceVectors | None = None) -> Composed:
        """The answer; without `vectors` the words alone decide."""
        rule = StopRule(max_sentences=max_sentences)
        selection = select(self.question, self.scored, self.among, vectors=vectors, rule=rule)
        least = LEAST_CONFIDENCE_BY_WORDS if vectors is None else LEAST_CONFIDENCE
        return compose(selection.selected if selection.confidence >= least else [], self.passages)
