"""Decision whether the passages answer a question at all."""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from argosy.answering.adjustments import is_number
from argosy.answering.candidates import Candidate
from argosy.answering.clashes import CLASH, clashes_resolved
from argosy.answering.questions import AskedQuestion
from argosy.answering.terms import terms_of
from argosy.answering.weights import Weights
from argosy.answering.words import is_stop_word
from argosy.text.rarity import idf

LEAST_CONFIDENCE = 1.1
"""Least sum of coverage, best cosine of a unit and best cosine of a passage."""
LEAST_CONFIDENCE_BY_WORDS = 0.45
"""Least coverage by words when there are no vectors."""
LEAST_COVERAGE_OF_OTHER_LANGUAGE = 0.6
LEAST_COVERAGE_OF_ASKED_ROW = 0.4
"""The same for a row whose key stands in the question: the other words may be those of a column in another form."""
SURE_COVERAGE, SURE_COSINE = 0.75, 0.5
"""Coverage and cosine at which an unknown name in the question does not matter."""
LARGE_COLLECTION = 2_000
"""Number of chunks from which a word that occurs nowhere means that the documents do not say."""
CLOSE_COSINE = 0.7
"""Cosine at which a unit answers a yes-or-no question although it does not name the thing asked about."""
COMPARED = 12
_SUBJECT = re.compile(
    r"(?:is|are|was|were|do|does|did|can|may|must|should|will)\s+(?:the\s+|an?\s+|any\s+|your\s+|all\s+)?"
    r"(?!there\b|it\b|this\b|that\b|these\b|those\b|one\b)([^\W\d_]{3,})\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\s?!.,;:？！()\"“”]+")
_ACRONYM = re.compile(r"[A-Z.]{2,4}")


class Reason(enum.Enum):
    """Reasons for a refusal."""

    NOTHING_FOUND = "no passage"
    IDENTIFIER = "an identifier stands in no passage"
    DATE = "the passages are about another date"
    LANGUAGE = "too few words of the question"
    CONFIDENCE = "no unit is close to the question"
    UNKNOWN_WORD = "a word of the question occurs nowhere"
    UNKNOWN_SUBJECT = "the thing asked about occurs nowhere"
    UNKNOWN_NAME = "a name in the question occurs nowhere"


@dataclass(frozen=True, slots=True)
class PassageTexts:
    """The best passages: their words with titles and headings, and the best cosine of any passage, where known."""

    texts: Sequence[str]
    cosine: float | None


def refusal(
    question: AskedQuestion, found: Sequence[Candidate], weights: Weights, passages: PassageTexts
) -> Reason | None:
    """Return why the question is not answered, or None. `found` are the candidates, best first."""
    if not found:
        return Reason.NOTHING_FOUND
    whole = [candidate for candidate in found if not candidate.missing]
    if not whole:
        return Reason.IDENTIFIER
    best = whole[0]
    nearest = max(whole, key=lambda candidate: candidate.score + CLASH * candidate.clash)
    if nearest.clash and not any(clashes_resolved(question, candidate.unit, nearest.unit) for candidate in found):
        return Reason.DATE
    if not question.english:
        key = set(terms_of(best.unit.cells[0], question.language)) if best.unit.cells else set()
        asked_row = bool(key) and key <= set(question.terms)
        told = asked_row or _holds_nouns(question, best)
        least = LEAST_COVERAGE_OF_ASKED_ROW if told else LEAST_COVERAGE_OF_OTHER_LANGUAGE
        return Reason.LANGUAGE if best.coverage < least else None
    if not _confident(question, best, found, passages):
        return Reason.CONFIDENCE
    if question.chunks >= LARGE_COLLECTION and _unknown_word(question, found):
        return Reason.UNKNOWN_WORD
    if _unknown_name(question, best, found, passages):
        return Reason.UNKNOWN_NAME
    return Reason.UNKNOWN_SUBJECT if _unknown_subject(question, best, found) else None


def _unknown_subject(question: AskedQuestion, best: Candidate, found: Sequence[Candidate]) -> bool:
    """Return whether a yes-or-no question is about a thing that no document mentions.

    "Are dogs allowed?" is not answered by what is said of campfires. A unit that is very close may call it otherwise.
    """
    subject = _SUBJECT.match(question.text.strip())
    if subject is None or is_number(subject[1]) or (best.cosine is not None and best.cosine >= CLOSE_COSINE):
        return False
    terms = terms_of(subject[1], question.language)
    return (
        bool(terms)
        and all(question.frequencies.get(term, 1) == 0 and term not in best.own | best.around for term in terms)
        and not _has_close_spelling(subject[1], found)
    )


def _holds_nouns(question: AskedQuestion, best: Candidate) -> bool:
    """Return whether the unit or its context holds all nouns of a German question, which are written with capitals."""
    if question.language != "de":
        return False
    nouns = [word for word in _WORD.findall(question.text)[1:] if word[0].isupper()]
    terms = {term for noun in nouns for term in terms_of(noun, question.language)}
    return bool(terms) and terms <= best.own | best.around


def _confident(question: AskedQuestion, best: Candidate, found: Sequence[Candidate], passages: PassageTexts) -> bool:
    covered = _covered(question, best.own | best.around)
    texts = [frozenset(terms_of(text, question.language)) for text in passages.texts]
    by_passage = max((_covered(question, words) for words in texts), default=0.0)
    words = (covered + max(by_passage, covered)) / 2
    cosines = [candidate.cosine for candidate in found if candidate.cosine is not None]
    if not cosines:
        return words >= LEAST_CONFIDENCE_BY_WORDS
    closest = max(cosines)
    passage = closest if passages.cosine is None else passages.cosine
    return words + closest + max(passage, 0.0) >= LEAST_CONFIDENCE


def _covered(question: AskedQuestion, words: frozenset[str]) -> float:
    """Return the share of the question's words among `words`, weighed by their rarity in the collection."""
    weights = {term: _rareness(question, term) * share for term, share in question.weights.items()}
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in words) / total if total else 0.0


def _rareness(question: AskedQuestion, term: str) -> float:
    if not question.chunks or term not in question.frequencies:
        return 1.0
    count, chunks = question.frequencies[term], question.chunks
    return min(idf(count, chunks), idf(1, chunks))


def _unknown_word(question: AskedQuestion, found: Sequence[Candidate]) -> bool:
    """Return whether a word of the question occurs in no chunk; a misspelt word does not count."""
    unknown = [term for term in question.terms if question.frequencies.get(term, 1) == 0 and len(term) >= 3]
    return any(not _has_close_spelling(term, found) for term in unknown)


def _unknown_name(question: AskedQuestion, best: Candidate, found: Sequence[Candidate], passages: PassageTexts) -> bool:
    """Return whether a capitalised word inside the question occurs nowhere, in no spelling close to it."""
    if best.coverage >= SURE_COVERAGE and (best.cosine is None or best.cosine >= SURE_COSINE):
        return False
    known: set[str] = set()
    for text in passages.texts:
        known.update(terms_of(text, question.language))
    for candidate in found:
        known |= candidate.own | candidate.around
    for word in _WORD.findall(question.text)[1:]:
        if not word[0].isupper() or is_stop_word(word) or _ACRONYM.fullmatch(word):
            continue
        stems = terms_of(word, question.language)
        if not stems or any(stem in known or question.frequencies.get(stem, 0) > 0 for stem in stems):
            continue
        if not _has_close_spelling(word, found):
            return True
    return False


def _has_close_spelling(word: str, found: Sequence[Candidate]) -> bool:
    if len(word) < 5:
        return False
    spellings: set[str] = set()
    for candidate in found[:COMPARED]:
        words = re.findall(r"\w+", " ".join([candidate.unit.text, *candidate.unit.context]).lower())
        spellings.update(other for other in words if len(other) >= 4 and abs(len(other) - len(word)) <= 3)
    return bool(difflib.get_close_matches(word.lower(), spellings, 1, 0.8))
