"""Scoring of the units of the best passages as answers to a question."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.answering.adjustments import HEADING_MATCH, adjustment
from argosy.answering.clashes import CLASH, clashes
from argosy.answering.identifiers import holds
from argosy.answering.parallel import are_parallel
from argosy.answering.questions import AskedQuestion
from argosy.answering.terms import related, surfaces, terms_of
from argosy.answering.units.prose import REFERS_BACK
from argosy.answering.units.reading import AnswerUnit
from argosy.answering.weights import UnitTerms, Weights, coverage, f1_of, word_weights
from argosy.contracts.units import UnitKind

COSINE, COVERAGE, PASSAGE, OFFSET = 5.0, 7.0, 10.0, 5.5
COSINE_OF_OTHER_LANGUAGE = 0.3
COVERAGE_ALONE = 9.5
"""Weight of coverage when there are no vectors."""
_SENTENCES = (UnitKind.SENTENCE, UnitKind.DETAIL)


@dataclass(slots=True)
class Candidate:
    """Unit with its score and the reasons that refusal and choice look at."""

    unit: AnswerUnit
    order: int
    score: float
    coverage: float
    cosine: float | None
    missing: list[str]
    """Identifiers of the question that neither the unit nor its context holds."""
    heading: float
    """Likeness in [0, 1] of the innermost heading and the question."""
    clash: bool
    """Whether the unit is about another year, month or weekday than the question."""
    own: frozenset[str]
    around: frozenset[str]
    names_all: bool = False
    """Whether the unit itself, without its context, holds all identifiers of the question."""
    leans: bool = False
    """Whether only the sentence before it holds an identifier of the question."""

    @property
    def probability(self) -> float:
        """Score as a probability in (0, 1)."""
        return 1.0 / (1.0 + math.exp(-max(min(self.score, 50.0), -50.0)))

    @property
    def first_under_heading(self) -> bool:
        """Whether the unit begins the section under a heading that is the question."""
        return self.heading >= HEADING_MATCH and self.unit.block == 0


def candidates(
    question: AskedQuestion,
    units: Sequence[AnswerUnit],
    scores: Sequence[float],
    cosines: Mapping[int, float] | None,
) -> tuple[list[Candidate], Weights]:
    """Return the scored units, best first, and the weights of the words.

    `scores` are those of the passages. `cosines` are those of the question with units, by their index in `units`; other
    units are left out. Without `cosines`, words decide among all units.
    """
    read = [_terms(question, unit) for unit in units]
    if question.carried:
        read = _with_paragraphs(question, units, read)
    weights = word_weights(question, read)
    best = max(scores, default=0.0)
    found = [
        _scored(question, unit, order, terms, weights, scores[unit.passage] - best, cosines[order] if cosines else None)
        for order, (unit, terms) in enumerate(zip(units, read, strict=True))
        if not cosines or order in cosines
    ]
    if question.carried:
        own_terms = [term for term in question.terms if any(term in c.own or term in c.around for c in found)]
        fresh = [c for c in found if any(term in c.own or term in c.around for term in own_terms)]
        found = fresh or found
    return sorted(found, key=lambda candidate: (-candidate.score, candidate.order)), weights


def _terms(question: AskedQuestion, unit: AnswerUnit) -> UnitTerms:
    language = question.language
    own = set(terms_of(unit.own, language))
    if unit.kind is UnitKind.DEFINITION:
        own.update(terms_of(unit.term.replace("_", " ").replace(".", " "), language))
    if unit.kind is UnitKind.ROW:
        own.update(terms_of(" ".join(unit.header), language))
    around = set(terms_of(" ".join([*unit.context, _stem_of(unit.name)]), language))
    if unit.kind in _SENTENCES and unit.previous and REFERS_BACK.match(unit.own):
        around.update(terms_of(unit.previous, language))
    if leans_on(question, unit) and any(holds(name, unit.before) for name in question.identifiers):
        around.update(terms_of(unit.before, language))
    if not question.english:
        for seen, text in ((own, f"{unit.own} {' '.join(unit.header)}"), (around, " ".join(unit.context))):
            known = seen | surfaces(text)
            seen.update(term for term in question.weights if term not in seen and related(term, known, text))
    return UnitTerms(frozenset(own), frozenset(around))


def _with_paragraphs(
    question: AskedQuestion, units: Sequence[AnswerUnit], read: Sequence[UnitTerms]
) -> list[UnitTerms]:
    """Return the terms with those of the whole paragraph as context: it may name what a follow-up is about.

    The words of the question itself must stand in the unit, or in its own context.
    """
    said: dict[tuple[str, int, int], set[str]] = {}
    for unit, terms in zip(units, read, strict=True):
        if unit.kind in _SENTENCES:
            said.setdefault((unit.document_id, unit.section, unit.block), set()).update(
                terms.own.difference(question.terms)
            )
    return [
        UnitTerms(terms.own, terms.around | said.get((unit.document_id, unit.section, unit.block), set()))
        if unit.kind in _SENTENCES
        else terms
        for unit, terms in zip(units, read, strict=True)
    ]


def leans_on(question: AskedQuestion, unit: AnswerUnit) -> bool:
    """Return whether a unit may continue what the sentence before it says, instead of saying the like of another."""
    return unit.before != "" and not are_parallel(unit.own, unit.before, question.language)


def _stem_of(name: str) -> str:
    """Return the words of a file name without its extension."""
    return re.sub(r"[/_.-]", " ", name.rsplit(".", 1)[0])


def _scored(
    question: AskedQuestion,
    unit: AnswerUnit,
    order: int,
    terms: UnitTerms,
    weights: Weights,
    behind: float,
    cosine: float | None,
) -> Candidate:
    mine = " ".join([unit.text, unit.term, *unit.header])
    whole = " ".join([mine, *unit.context, unit.name])
    heading = _heading_match(question, unit.heading, weights)
    covered = coverage(question, terms, weights, heading >= HEADING_MATCH)
    if question.identifiers and _is_about(question.identifiers, unit):
        behind = 0.0
    if cosine is None:
        near = COVERAGE_ALONE * covered
    elif question.english:
        near = COSINE * cosine + COVERAGE * covered
    else:
        near = COSINE_OF_OTHER_LANGUAGE * COSINE * cosine + COVERAGE * covered
    missing = [name for name in question.identifiers if not holds(name, whole)]
    leans = bool(missing) and leans_on(question, unit) and all(holds(name, unit.before) for name in missing)
    if leans:
        missing = []
    clash = clashes(question, unit.text, whole)
    adjusted = adjustment(question, unit, terms, weights, heading, mine)
    adjusted -= CLASH * clash + sum(not holds(number, whole) for number in question.numbers)
    return Candidate(
        unit=unit,
        order=order,
        score=near + PASSAGE * behind - OFFSET + adjusted,
        coverage=covered,
        cosine=cosine,
        missing=missing,
        heading=heading,
        clash=clash,
        own=terms.own,
        around=terms.around,
        names_all=bool(question.identifiers) and all(holds(name, mine) for name in question.identifiers),
        leans=leans,
    )


def _heading_match(question: AskedQuestion, heading: str, weights: Weights) -> float:
    """Return how much the heading is the question: F1 of their words, less when their order differs."""
    words = terms_of(heading, question.language)
    likeness = f1_of(set(question.terms), set(words), weights)
    if likeness < HEADING_MATCH:
        return likeness
    return likeness * (0.6 + 0.4 * difflib.SequenceMatcher(None, question.terms, words).ratio())


def _is_about(identifiers: Sequence[str], unit: AnswerUnit) -> bool:
    """Return whether an identifier of the question is the term of the definition or the key of the row."""
    if unit.kind is UnitKind.DEFINITION:
        return any(holds(name, unit.term) for name in identifiers)
    key = next((cell for cell in unit.cells if cell), "")
    return bool(key) and any(holds(name, key) for name in identifiers)
