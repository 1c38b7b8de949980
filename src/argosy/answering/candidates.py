"""Scoring of the units of the best passages as answers to a question."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.answering.identifiers import holds
from argosy.answering.questions import DATES, AskedQuestion
from argosy.answering.terms import alike, terms_of
from argosy.answering.units.prose import REFERS_BACK
from argosy.answering.units.reading import AnswerUnit
from argosy.contracts.units import UnitFlag, UnitKind

COSINE, COVERAGE, PASSAGE, OFFSET = 3.0, 8.0, 10.0, 5.0
COSINE_OF_OTHER_LANGUAGE = 0.3
COVERAGE_ALONE = 9.5
"""Weight of coverage when there are no vectors."""
CONTEXT_SHARE = 0.85
"""Share of a word that stands in the context of a unit and not in the unit."""
HEADING_MATCH = 0.6
"""Least likeness of a heading and the question at which its section is the answer."""
LEAST_WEIGHT = 0.15
FROM_CHUNKS = 50
"""Number of chunks from which a collection says how rare a word is."""
EXCLUDED = 20.0
CLASH = 3.0
"""Penalty of a unit about another date or another numbered thing than the question."""
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million|billion|half|"
    r"twice|once|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|fourteen|fifteen|january|february|march|april|"
    r"may|june|july|august|september|october|november|december|monday|tuesday|wednesday|thursday|friday|saturday|"
    r"sunday|day|night|century|noon|midnight|none|no|zero)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<!^)(?<![.!?] )\b[A-ZÀ-Ý][a-zà-ÿ]+")
_ASIDE = re.compile(
    r"(?:Changed in version|New in version|Added in version|Deprecated since|See also|Note$|Source code|Availability)",
    re.IGNORECASE,
)
_WROTE = re.compile(r">|.{0,200}\bwrote:")
_CODE_SPAN = re.compile(r"`[^`\n]+`")
_WORDS = re.compile(r"[^\W\d_]{2,}")
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
    if unit.before and any(holds(name, unit.before) for name in question.identifiers):
        around.update(terms_of(unit.before, language))
    if not question.english:
        for seen in (own, around):
            seen.update(
                term
                for term in question.weights
                if term not in seen and len(term) > 3 and term.isalpha() and any(alike(term, other) for other in seen)
            )
    return UnitTerms(frozenset(own), frozenset(around))


def _stem_of(name: str) -> str:
    """Return the words of a file name without its extension."""
    return re.sub(r"[/_.-]", " ", name.rsplit(".", 1)[0])


def word_weights(question: AskedQuestion, read: Sequence[UnitTerms]) -> Weights:
    """Weigh words by how few units hold them, and by how rare they are in the collection where that is known."""
    counts = Counter(term for terms in read for term in terms.own)
    total = len(read)

    def idf(count: int) -> float:
        return math.log(1 + (total - count + 0.5) / (count + 0.5))

    unseen = max((idf(count) for count in counts.values()), default=1.0)
    by_term: dict[str, float] = {}
    for term in {*counts, *question.weights}:
        weight = max(idf(counts[term]) if counts[term] else unseen, LEAST_WEIGHT)
        by_term[term] = weight * math.sqrt(rarity(question, term))
    return Weights(by_term, unseen)


def rarity(question: AskedQuestion, term: str) -> float:
    """Return the idf of a term in the collection as a share in (0, 1] of the highest; 1 when it is not known."""
    if question.chunks < FROM_CHUNKS or term not in question.frequencies:
        return 1.0
    count, chunks = question.frequencies[term], question.chunks
    share = math.log(1 + (chunks - count + 0.5) / (count + 0.5)) / math.log(1 + (chunks - 0.5) / 1.5)
    return min(1.0, max(share, 0.05))


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
    covered = _coverage(question, terms, weights, heading >= HEADING_MATCH)
    if question.identifiers and _is_about(question.identifiers, unit):
        behind = 0.0
    if cosine is None:
        near = COVERAGE_ALONE * covered
    elif question.english:
        near = COSINE * cosine + COVERAGE * covered
    else:
        near = COSINE_OF_OTHER_LANGUAGE * COSINE * cosine + COVERAGE * covered
    missing = [name for name in question.identifiers if not holds(name, whole)]
    leans = bool(missing) and unit.before != "" and all(holds(name, unit.before) for name in missing)
    if leans:
        missing = []
    clash = _clashes(question, unit.text, whole)
    adjusted = _adjustment(question, unit, terms, weights, heading, mine)
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


def _coverage(question: AskedQuestion, terms: UnitTerms, weights: Weights, under_question: bool) -> float:
    total = sum(weights.of(term) * share for term, share in question.weights.items())
    covered = 0.0
    for term, share in question.weights.items():
        if term in terms.own or (under_question and term in terms.around):
            covered += weights.of(term) * share
        elif term in terms.around:
            covered += weights.of(term) * share * CONTEXT_SHARE
    return covered / total if total else 0.0


def _heading_match(question: AskedQuestion, heading: str, weights: Weights) -> float:
    """Return how much the heading is the question: F1 of their words, less when their order differs."""
    words = terms_of(heading, question.language)
    likeness = _f1(set(question.terms), set(words), weights)
    if likeness < HEADING_MATCH:
        return likeness
    return likeness * (0.6 + 0.4 * difflib.SequenceMatcher(None, question.terms, words).ratio())


def _f1(asked: set[str], words: set[str], weights: Weights) -> float:
    shared = sum(weights.of(term) for term in asked & words)
    total = sum(weights.of(term) for term in asked) + sum(weights.of(term) for term in words)
    return 2 * shared / total if total else 0.0


def _is_about(identifiers: Sequence[str], unit: AnswerUnit) -> bool:
    """Return whether an identifier of the question is the term of the definition or the key of the row."""
    if unit.kind is UnitKind.DEFINITION:
        return any(holds(name, unit.term) for name in identifiers)
    key = next((cell for cell in unit.cells if cell), "")
    return bool(key) and any(holds(name, key) for name in identifiers)


def clashes_resolved(question: AskedQuestion, unit: AnswerUnit, clashing: AnswerUnit) -> bool:
    """Return whether the unit or its context names the dates, and the numbered thing that `clashing` has otherwise."""
    words = " ".join([unit.text, *unit.context, unit.name]).lower()
    other = " ".join([clashing.text, *clashing.context, clashing.name]).lower()
    if _another_number(question, other) and not all(
        re.search(rf"\b{re.escape(thing)}s? {number}\b", words) for thing, number in question.numbered
    ):
        return False
    return all(
        not asked or asked & set(pattern.findall(words)) for pattern, asked in zip(DATES, question.dates, strict=True)
    )


def _clashes(question: AskedQuestion, text: str, whole: str) -> bool:
    low, around = text.lower(), whole.lower()
    return _another_number(question, around) or any(
        asked and not asked & set(pattern.findall(around)) and pattern.search(low) is not None
        for pattern, asked in zip(DATES, question.dates, strict=True)
    )


def _another_number(question: AskedQuestion, low: str) -> bool:
    """Return whether the text is about a thing that the question names, but with another number."""
    return any(
        re.search(rf"\b{re.escape(thing)}s? {number}\b", low) is None
        and re.search(rf"\b{re.escape(thing)}s? \d", low) is not None
        for thing, number in question.numbered
    )


def _adjustment(
    question: AskedQuestion, unit: AnswerUnit, terms: UnitTerms, weights: Weights, heading: float, mine: str
) -> float:
    asked, kind = question.asked, unit.kind
    bare = unit.text.rstrip()
    adjusted = 0.0
    if heading >= HEADING_MATCH and unit.block == 0 and kind is not UnitKind.CODE:
        adjusted += 2.0 * heading
    if kind is UnitKind.DEFINITION and unit.term:
        about = set(terms_of(unit.term, question.language))
        named = any(holds(name, unit.term) for name in question.identifiers)
        if named or (about and about <= set(question.terms)) or _f1(set(question.terms), about, weights) > 0.5:
            adjusted += 1.5 + (0.7 if asked.definition else 0.0)
    if kind is UnitKind.ROW and unit.cells:
        key = set(terms_of(unit.cells[0], question.language))
        if (key and key <= set(question.terms)) or any(holds(name, unit.cells[0]) for name in question.identifiers):
            adjusted += 1.0
    if unit.flags & UnitFlag.QUOTED or _WROTE.match(bare):
        adjusted -= 1.5
    if _ASIDE.match(bare):
        adjusted -= 1.5
    if kind in _SENTENCES and bare.endswith((":", "：")) and not (asked.steps or asked.several):
        adjusted -= 1.0
    if kind in (*_SENTENCES, UnitKind.ITEM) and _is_synopsis(unit.text):
        adjusted -= 2.0
    if kind is UnitKind.CODE:
        adjusted += 0.7 if asked.steps else -0.7
    if kind is UnitKind.LIST:
        adjusted += 0.5 if asked.several or asked.steps else -0.8
    if asked.person and _NAME.search(unit.text):
        adjusted += 0.4
    if asked.quantity and _NUMBER.search(unit.text):
        adjusted += 0.4
    if asked.count and not _NUMBER.search(unit.text):
        adjusted -= 0.8
    if question.identifiers and all(holds(name, mine) for name in question.identifiers):
        adjusted += 0.5
    if bare.endswith(("?", "？")) or terms.own <= set(question.terms):
        adjusted -= EXCLUDED
    return adjusted


def _is_synopsis(text: str) -> bool:
    return len(_CODE_SPAN.findall(text)) >= 3 and len(_WORDS.findall(_CODE_SPAN.sub("", text))) <= 3
