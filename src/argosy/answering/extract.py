"""Extractive answer: the units of the passages are scored, and the best are quoted, unless the passages do not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from argosy.answering.candidates import Candidate, candidates
from argosy.answering.choice import ChoiceLimits, choose
from argosy.answering.compose import Composed, compose, not_told, refused
from argosy.answering.contradictions import contradicting, date_of, sortable
from argosy.answering.greetings import greeting
from argosy.answering.identifiers import nearest
from argosy.answering.questions import AskedQuestion, contrasted, named_together, parts_of, read_question
from argosy.answering.refusal import PassageTexts, Reason, refusal
from argosy.answering.showing import ShownUnit, show
from argosy.answering.units.reading import AnswerUnit, ReadPassages, read_units
from argosy.answering.weights import Weights
from argosy.contracts.retrieval import Passage, QueryAnalysis
from argosy.contracts.vectors import Vectors

PASSAGES = 5
"""Number of best passages whose units are considered."""
TOLD_PASSAGES = 3
"""Number of best passages whose words together may cover the question."""
MOST_EMBEDDED = 20
"""Number of units per question whose vectors are computed, if they are not stored: the best ones by words."""
POOLED_LACK = 0.06
"""Amount by which the cosine of a question with a unit's stored vector is below that with the unit embedded alone.

A stored vector is pooled within its chunk. Over 298 questions of XQuAD, the mean cosine of the best unit is .526
instead of .589. Thresholds hold for units embedded alone.
"""
PART_LIMITS = ChoiceLimits(max_units=2, max_words=40)
"""Limits of the answer to each part of a question."""


@dataclass(frozen=True, slots=True)
class UnitVectors:
    """Vectors of unit length: `questions` has a row for each of `Extraction.questions`, `units` for each of `texts`.

    `units` is None when there are no texts, because all vectors that matter are stored.
    """

    questions: Vectors
    units: Vectors | None = None


@dataclass(frozen=True, slots=True)
class _Judged:
    """One part of the question with its scored units and the reason to refuse it, if any."""

    question: AskedQuestion
    found: list[Candidate]
    weights: Weights
    reason: Reason | None


class Extraction:
    """Question, its passages (best first) and the units to quote from. It embeds nothing itself."""

    def __init__(
        self,
        question: str,
        passages: Sequence[Passage],
        analysis: QueryAnalysis | None = None,
        carried: str = "",
        model: str = "",
    ) -> None:
        """Read the units of the best passages.

        `carried` are words of earlier turns that the question refers to. `model` is the mark of the question's model,
        by which stored vectors of units are recognised; without it they are ignored.
        """
        self.question = question
        self.model = model
        self.passages = passages
        self._analysis = analysis
        self._carried = carried
        self._greeting = greeting(question)
        self._read = ReadPassages([], []) if self._greeting else read_units(passages, PASSAGES, model)
        self._contrast = contrasted(question)
        parts = self._contrast or parts_of(question)
        if len(parts) < 2:
            parts = named_together(question, {name for unit in self._read.units for name in _names_of(unit)})
        self.questions = [question, *(parts if len(parts) > 1 else [])]
        """The question, then its parts when it has several. All of them may be embedded for `compose`."""

        units = self._read.units
        self._stored = [place for place, unit in enumerate(units) if unit.vector]
        self._shortlist = self._best_by_words([place for place, unit in enumerate(units) if not unit.vector])

    @property
    def stored(self) -> bool:
        """Whether units have stored vectors by `model`."""
        return bool(self._stored)

    @property
    def compares(self) -> bool:
        """Whether there are units to compare with the question."""
        return bool(self._read.units)

    @property
    def texts(self) -> list[str]:
        """Texts of the best units by words without a stored vector, which may be embedded for `compose`."""
        return [self._read.units[place].embedded_text() for place in self._shortlist]

    def _best_by_words(self, places: list[int]) -> list[int]:
        """Return those of the places whose units are worth a vector, in order: the best for each question by words."""
        units = [self._read.units[place] for place in places]
        if len(units) <= MOST_EMBEDDED:
            return places
        scores = [passage.score for passage in self.passages]
        taken: set[int] = set()
        for text in self.questions:
            found, _ = candidates(read_question(text, self._analysis, self._carried), units, scores, None)
            found.sort(key=lambda candidate: len(candidate.missing))
            taken.update(candidate.order for candidate in found[:MOST_EMBEDDED])
        return [places[order] for order in sorted(taken)]

    def compose(self, max_units: int, vectors: UnitVectors | None = None) -> Composed:
        """Return the answer. Without `vectors`, only words decide."""
        if self._greeting:
            return Composed([self._greeting])
        limits = ChoiceLimits(max_units=max_units)
        if len(self.questions) > 1:
            answered, unanswered = self._in_parts(vectors)
            if answered:
                composed = compose(answered, self.passages, self._read.windows)
                left_out = [] if self._contrast else unanswered
                return replace(composed, pieces=[*composed.pieces, *map(not_told, left_out)])
        judged = self._judged(0, self._carried, vectors)
        if judged.reason is not None:
            return self._refused(judged)
        return compose([self._shown(judged, limits)], self.passages, self._read.windows)

    def _in_parts(self, vectors: UnitVectors | None) -> tuple[list[list[ShownUnit]], list[str]]:
        """Return the answers to the parts of the question, each unit once, and the parts that have none."""
        answered: list[list[ShownUnit]] = []
        unanswered: list[str] = []
        seen: set[str] = set()
        for place in range(1, len(self.questions)):
            carried = " ".join([self._carried, *self.questions[1:2]]) if place > 1 else self._carried
            judged = self._judged(place, carried.strip(), vectors)
            if judged.reason is not None:
                unanswered.append(self.questions[place])
                continue
            shown = [unit for unit in self._shown(judged, PART_LIMITS) if unit.text not in seen]
            seen.update(unit.text for unit in shown)
            if shown:
                answered.append(shown)
        return answered, unanswered

    def _judged(self, place: int, carried: str, vectors: UnitVectors | None) -> _Judged:
        question = read_question(self.questions[place], self._analysis, carried)
        cosines = None if vectors is None else self._cosines(vectors, place)
        scores = [passage.score for passage in self.passages]
        found, weights = candidates(question, self._read.units, scores, cosines)
        return _Judged(question, found, weights, refusal(question, found, weights, self._told()))

    def _cosines(self, vectors: UnitVectors, place: int) -> dict[int, float]:
        """Return the cosines of a question with the units that have a vector, by their place."""
        asked = vectors.questions[place]
        cosines: dict[int, float] = {}
        if vectors.units is not None:
            computed = np.asarray(vectors.units @ asked, dtype=float).tolist()
            cosines = dict(zip(self._shortlist, computed, strict=True))
        if self._stored:
            packed = b"".join(self._read.units[at].vector for at in self._stored)
            rows = np.frombuffer(packed, np.int8).reshape(len(self._stored), -1).astype(np.float32)
            stored = (rows @ asked / np.linalg.norm(rows, axis=1) + POOLED_LACK).astype(float).tolist()
            cosines |= zip(self._stored, stored, strict=True)
        return cosines

    def _told(self) -> PassageTexts:
        texts = [
            " ".join([passage.chunk.title or "", *passage.chunk.heading_path, passage.chunk.text])
            for passage in self.passages[:TOLD_PASSAGES]
        ]
        cosines = [passage.cosine for passage in self.passages[:PASSAGES] if passage.cosine is not None]
        return PassageTexts(texts, max(cosines, default=None))

    def _shown(self, judged: _Judged, limits: ChoiceLimits) -> list[ShownUnit]:
        whole = [candidate for candidate in judged.found if not candidate.missing]
        differing = contradicting(judged.question, whole)
        if differing:
            return self._dated(judged.question, differing)
        return show(judged.question, choose(judged.question, judged.found, self._read.units, limits), self._read.units)

    def _dated(self, question: AskedQuestion, differing: Sequence[Candidate]) -> list[ShownUnit]:
        """Return statements that contradict each other, newer first, each with its date or the name of its document."""
        dated = [
            (date_of(one.unit, self.passages[one.unit.passage].chunk.metadata), unit)
            for one in differing
            for unit in show(question, [one], self._read.units)
        ]
        dated.sort(key=lambda pair: sortable(pair[0]), reverse=True)
        return [
            replace(unit, text=f"{unit.text} ({date or unit.sources[0].name})") if "\n" not in unit.text else unit
            for date, unit in dated
        ]

    def _refused(self, judged: _Judged) -> Composed:
        if judged.reason is not Reason.IDENTIFIER:
            return refused()
        texts = [" ".join([unit.text, unit.term, *unit.headings]) for unit in self._read.units]
        for name in judged.question.identifiers:
            close = nearest(name, texts)
            if close is not None:
                return refused(close)
        return refused()


def _names_of(unit: AnswerUnit) -> list[str]:
    """Return what a question may call the unit: its headings and the key of its row."""
    return [*unit.headings, *unit.cells[:1]]
