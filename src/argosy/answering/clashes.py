"""Units about another date or another numbered thing than the question asks for."""

from __future__ import annotations

import re

from argosy.answering.questions import DATES, AskedQuestion
from argosy.answering.units.reading import AnswerUnit

CLASH = 3.0
"""Penalty of a unit about another date or another numbered thing than the question."""


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


def clashes(question: AskedQuestion, text: str, whole: str) -> bool:
    """Return whether a unit names only other dates than the question, or another number of a thing in it."""
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
