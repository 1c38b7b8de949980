"""Statements of several documents that say different things about the same: all are quoted, newer first, with dates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from argosy.answering.candidates import Candidate
from argosy.answering.parallel import about_another
from argosy.answering.questions import AskedQuestion
from argosy.answering.terms import terms_of
from argosy.answering.units.reading import AnswerUnit
from argosy.contracts.store import Metadata
from argosy.contracts.units import UnitKind

ALIKE = 0.6
"""Least share of common words of two statements about the same thing."""
WITHIN = 2.0
"""Largest distance between the scores of two statements that are quoted together."""
MAX_STATEMENTS = 3
DATE_KEYS = ("date", "updated", "modified", "published", "created", "valid_from")
_FIGURE = re.compile(r"\d+(?:[.,:]\d+)*")
_FIGURE_WORDS = """
    one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty seventy
    eighty ninety hundred thousand not no never always only monday tuesday wednesday thursday friday saturday sunday
    january february march april may june july august september october november december
"""
_FIGURES_IN_WORDS = frozenset(_FIGURE_WORDS.split())
_AS_OF = re.compile(
    r"\b(?:as of|since|from|valid from|updated|stand|état|effective)[:\s]{1,3}"
    r"((?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?|\w{3,9} (?:19|20)\d\d)",
    re.IGNORECASE,
)
_ISO = re.compile(r"(?<![\d-])((?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?)(?![\d-]*\d)")
_PLAIN_KINDS = frozenset({UnitKind.SENTENCE, UnitKind.ITEM, UnitKind.PAIR, UnitKind.DETAIL, UnitKind.DEFINITION})


def contradicting(question: AskedQuestion, found: Sequence[Candidate]) -> list[Candidate]:
    """Return the best statement and those of other documents that differ from it in figures only; else nothing."""
    best = found[0]
    if best.unit.kind not in _PLAIN_KINDS:
        return []
    words, figures = _split(best.unit, question.language)
    taken = [best]
    seen = [figures]
    for other in found[1:]:
        if other.score < best.score - WITHIN or len(taken) == MAX_STATEMENTS:
            break
        unit = other.unit
        if unit.kind not in _PLAIN_KINDS or other.clash or other.missing:
            continue
        if any(unit.document_id == one.unit.document_id for one in taken) or about_another(question, unit, best.unit):
            continue
        its_words, its_figures = _split(unit, question.language)
        common = len(words & its_words) / max(1, len(words | its_words))
        if common >= ALIKE and figures and its_figures and its_figures not in seen:
            taken.append(other)
            seen.append(its_figures)
    return taken if len(taken) > 1 else []


def _split(unit: AnswerUnit, language: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words of a statement, and its figures with words that count like figures."""
    low = re.findall(r"\w+", unit.own.lower())
    figures = {*_FIGURE.findall(unit.own), *(word for word in low if word in _FIGURES_IN_WORDS)}
    words = {term for term in terms_of(_FIGURE.sub(" ", unit.own), language) if term not in _FIGURES_IN_WORDS}
    return frozenset(words), frozenset(figures)


def date_of(unit: AnswerUnit, metadata: Metadata) -> str:
    """Return the date of a statement, or an empty text: from its words, its headings, its file's name or metadata."""
    for words in (unit.text, unit.previous, *reversed(unit.headings), unit.title):
        stated = _AS_OF.search(words)
        if stated is not None:
            return stated[1]
    for words in (*reversed(unit.headings), unit.title, unit.name):
        year = _ISO.search(words)
        if year is not None:
            return year[1]
    return _from(metadata)


def _from(metadata: Mapping[str, object]) -> str:
    for key in DATE_KEYS:
        value = metadata.get(key)
        if value is not None:
            found = _ISO.search(str(value)[:10])
            if found is not None:
                return found[1]
    return ""


_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def sortable(date: str) -> str:
    """Return a date in a form in which a later one sorts higher; an unknown date is the lowest."""
    words = date.lower().split()
    if len(words) == 2 and words[0][:3] in _MONTHS:
        return f"{words[1]}-{_MONTHS.index(words[0][:3]) + 1:02d}"
    return words[-1] if words else ""
