"""Choice of the units that make the answer: one when one suffices, further ones only when they add something."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from argosy.answering.adjustments import HEADING_MATCH
from argosy.answering.candidates import Candidate
from argosy.answering.parallel import about_another, are_parallel
from argosy.answering.questions import AskedQuestion
from argosy.answering.terms import terms_of
from argosy.answering.units.reading import AnswerUnit
from argosy.contracts.units import UnitFlag, UnitKind

MASS = 0.9
"""Share of the total probability after which no further sentence is taken."""
CLEAR_SCORE = 1.0
"""Score to which the best sentence is lowered, so that a clear one leaves little probability to the others."""
COMPARED = 4
"""Number of best units with which the others are compared."""
EQUAL_ROWS = 2
EQUAL_SCORE = 0.25
STEPS_OVER_WORDS = 40
"""Number of words by which a list may exceed the limit when it completes a section."""
ENOUGH_WORDS = 25
"""Number of words after which a section's first block is a whole answer."""
_ALONE = frozenset({UnitKind.DEFINITION, UnitKind.ROW, UnitKind.PAIR, UnitKind.CODE, UnitKind.LIST})
_SCORED = frozenset(
    {UnitKind.SENTENCE, UnitKind.ITEM, UnitKind.PAIR, UnitKind.DEFINITION, UnitKind.ROW, UnitKind.DETAIL}
)
_ENDS_LEAD = (":", "：")


@dataclass(frozen=True, slots=True)
class ChoiceLimits:
    """Limits of an answer. At least one unit is always taken."""

    max_units: int = 4
    max_words: int = 100


def choose(
    question: AskedQuestion, found: Sequence[Candidate], units: Sequence[AnswerUnit], limits: ChoiceLimits
) -> list[Candidate]:
    """Return the units to quote, best first. `found` are the candidates, best first, and `units` all known units."""
    whole = [candidate for candidate in found if not candidate.missing]
    best = whole[0]
    if best.names_all:
        whole = [candidate for candidate in whole if candidate.names_all or candidate.leans]
    whole = _about_the_same(question, whole)
    if best.first_under_heading and best.unit.kind in (UnitKind.SENTENCE, UnitKind.ITEM, UnitKind.PAIR):
        return _section(question, best, units, limits)
    if best.unit.kind is UnitKind.ROW:
        equal = [
            other
            for other in whole[1:6]
            if other.unit.kind is UnitKind.ROW
            and other.score > best.score - EQUAL_SCORE
            and other.unit.document_id == best.unit.document_id
            and other.coverage >= best.coverage - 1e-6
        ]
        return [best, *equal[: min(EQUAL_ROWS, limits.max_units - 1)]]
    if (best.unit.kind in _ALONE and _is_asked_for(question, best)) or best.first_under_heading:
        return [best]
    return _until_enough(whole, limits)


def _about_the_same(question: AskedQuestion, whole: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates without those that say of another thing what a better one says."""
    kept: list[Candidate] = []
    for candidate in whole:
        if not any(_is_about_another(question, candidate, better) for better in kept[:COMPARED]):
            kept.append(candidate)
    return kept


def _is_about_another(question: AskedQuestion, other: Candidate, best: Candidate) -> bool:
    if about_another(question, other.unit, best.unit):
        return True
    carried = question.weights.keys() & (best.own | best.around) - (other.own | other.around)
    return question.carried and bool(carried) and are_parallel(other.unit.own, best.unit.own, question.language)


def _is_asked_for(question: AskedQuestion, best: Candidate) -> bool:
    """Return whether a definition is of what the question names; another one may be only a part of the answer."""
    if best.unit.kind is not UnitKind.DEFINITION or question.identifiers:
        return True
    return not question.weights.keys().isdisjoint(terms_of(best.unit.term, question.language))


def _section(
    question: AskedQuestion, best: Candidate, units: Sequence[AnswerUnit], limits: ChoiceLimits
) -> list[Candidate]:
    """Return the start of the section whose heading is the question. A sentence with a colon takes what follows."""
    section = [
        unit
        for unit in units
        if unit.document_id == best.unit.document_id
        and unit.section == best.unit.section
        and unit.headings == best.unit.headings
        and unit.kind not in (UnitKind.DETAIL, UnitKind.ITEM)
        and not about_another(question, unit, best.unit)
    ]
    taken: list[AnswerUnit] = []
    words = 0
    for unit in sorted(section, key=lambda unit: (unit.block, unit.start)):
        if unit.kind is UnitKind.ROW:
            break
        count = len(unit.text.split())
        if taken:
            leads = taken[-1].text.rstrip().endswith(_ENDS_LEAD)
            limit = limits.max_words + (STEPS_OVER_WORDS if unit.kind is UnitKind.LIST else 0)
            if words + count > limit and not (leads and unit.kind is not UnitKind.LIST):
                break
            complete = words >= ENOUGH_WORDS or taken[-1].kind in (UnitKind.CODE, UnitKind.LIST)
            if unit.block != taken[0].block and not leads and complete:
                break
            if unit.kind in (UnitKind.CODE, UnitKind.LIST) and unit.lead == taken[-1].text:
                taken.pop()
        taken.append(unit)
        words += count
    return [_with_unit(best, unit) for unit in taken] or [best]


def _until_enough(whole: Sequence[Candidate], limits: ChoiceLimits) -> list[Candidate]:
    above = max(0.0, whole[0].score - CLEAR_SCORE)
    total = sum(_probability(candidate, above) for candidate in whole if candidate.unit.kind in _SCORED) or 1.0
    taken: list[Candidate] = []
    seen: set[str] = set()
    mass, words = 0.0, 0
    for candidate in whole:
        unit = candidate.unit
        if taken and (unit.kind in (UnitKind.CODE, UnitKind.LIST) or unit.flags & UnitFlag.QUOTED):
            continue
        same = re.sub(r"\W+", " ", unit.text.lower()).strip()
        if same in seen or any(_overlap(unit, other.unit) for other in taken):
            continue
        count = len(unit.text.split())
        if taken and (mass >= MASS or len(taken) >= limits.max_units or words + count > limits.max_words):
            break
        taken.append(candidate)
        seen.add(same)
        words += count
        mass += _probability(candidate, above) / total
    return taken


def _probability(candidate: Candidate, above: float) -> float:
    """Return the probability of a unit when all scores are lower by `above`, so that close ones still differ."""
    return 1.0 / (1.0 + math.exp(-max(min(candidate.score - above, 50.0), -50.0)))


def _overlap(unit: AnswerUnit, other: AnswerUnit) -> bool:
    return unit.document_id == other.document_id and unit.start < other.end and unit.end > other.start


def _with_unit(candidate: Candidate, unit: AnswerUnit) -> Candidate:
    return Candidate(
        unit=unit,
        order=candidate.order,
        score=candidate.score,
        coverage=candidate.coverage,
        cosine=candidate.cosine,
        missing=[],
        heading=max(candidate.heading, HEADING_MATCH),
        clash=False,
        own=candidate.own,
        around=candidate.around,
    )
