"""Parallel statements: they say the same kind of thing about different things.

"The client for R is kept by Ivo." and "The client for Ruby is kept by June." are parallel. A question about one of them
is not answered by the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from argosy.answering.identifiers import holds
from argosy.answering.questions import AskedQuestion
from argosy.answering.terms import terms_of
from argosy.answering.units.reading import AnswerUnit

ALIKE, ALIKE_IN_ALL_WORDS = 0.3, 0.45
"""Least shares of common words of two parallel statements: without and with the small words."""
_WORD = re.compile(r"\w+")


def about_another(question: AskedQuestion, unit: AnswerUnit, best: AnswerUnit) -> bool:
    """Return whether `unit` is parallel to `best` and lacks a name or a word of the question that `best` has."""
    if best.text == unit.text and best.context == unit.context:
        return False
    language = question.language
    if not are_parallel(unit.own, best.own, language):
        return False
    mine, its = " ".join(_around(best)), " ".join(_around(unit))
    if any(holds(name, mine) and not holds(name, its) for name in (*question.identifiers, *question.numbers)):
        return True
    missed = set(question.terms) - set(terms_of(its, language))
    return bool(missed & set(terms_of(mine, language)))


def are_parallel(first: str, second: str, language: str) -> bool:
    """Return whether two statements share much of their words, with or without the small ones."""
    terms = _share(terms_of(first, language), terms_of(second, language))
    return terms >= ALIKE or _share(_WORD.findall(first.lower()), _WORD.findall(second.lower())) >= ALIKE_IN_ALL_WORDS


def _share(first: Iterable[str], second: Iterable[str]) -> float:
    one, other = set(first), set(second)
    return len(one & other) / len(one | other) if one | other else 0.0


def _around(unit: AnswerUnit) -> list[str]:
    return [unit.text, *unit.context, unit.name.replace("_", " ").replace("-", " ")]
