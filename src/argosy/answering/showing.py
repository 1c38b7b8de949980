"""The chosen units as readable text: each one with the words that it needs to be understood."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from argosy.answering.candidates import Candidate
from argosy.answering.identifiers import named_by
from argosy.answering.questions import AskedQuestion
from argosy.answering.units.prose import REFERS_BACK
from argosy.answering.units.reading import AnswerUnit
from argosy.contracts.units import UnitKind

MAX_PREVIOUS_WORDS = 30
MAX_TERM_WORDS = 8
_ENDS_LEAD = (":", "：")
_SENTENCES = (UnitKind.SENTENCE, UnitKind.DETAIL)


@dataclass(frozen=True, slots=True)
class ShownUnit:
    """Text of one or more units in the answer. `sources` are the units that the citation points to."""

    sources: tuple[AnswerUnit, ...]
    text: str
    probability: float

    @property
    def stands_alone(self) -> bool:
        """Whether the text has several lines, such as a list or code, and needs lines of its own."""
        return "\n" in self.text


def show(question: AskedQuestion, chosen: Sequence[Candidate], units: Sequence[AnswerUnit]) -> list[ShownUnit]:
    """Return the chosen units as text. Several units of one section stand in the order of the source."""
    rows = _table(chosen)
    if rows is not None:
        return rows
    ordered = _in_source_order(chosen)
    shown: list[ShownUnit] = []
    for place, candidate in enumerate(ordered):
        before = ordered[place - 1].unit if place else None
        source, text = _text_of(candidate.unit, before, units)
        if _needs_name(question, candidate.unit, before):
            text = f"{candidate.unit.heading}: {text}"
        if candidate.leans and (before is None or before.text != candidate.unit.before):
            text = f"{candidate.unit.before} {candidate.unit.text}"
        sources = (source, *_definition_of(source, units)) if text.startswith(f"{source.term}: ") else (source,)
        shown.append(ShownUnit(sources, text, candidate.probability))
    return shown


def _definition_of(unit: AnswerUnit, units: Sequence[AnswerUnit]) -> list[AnswerUnit]:
    """Return the definition with the term that is shown before a sentence, so that the citation holds the term too."""
    if unit.kind is UnitKind.DEFINITION or not unit.term:
        return []
    return [
        other
        for other in units
        if other.kind is UnitKind.DEFINITION
        and (other.document_id, other.section, other.passage) == (unit.document_id, unit.section, unit.passage)
        and other.term == unit.term
        and other.start <= unit.start
    ][:1]


def _needs_name(question: AskedQuestion, unit: AnswerUnit, before: AnswerUnit | None) -> bool:
    """Return whether the heading above the unit is a name, such as an option, that the reader would not know else."""
    names = named_by(unit.heading) if unit.kind in (*_SENTENCES, UnitKind.ITEM) and not unit.term else frozenset()
    return (
        bool(names)
        and len(unit.heading.split()) <= MAX_TERM_WORDS
        and not names & question.words
        and unit.heading not in unit.text
        and (before is None or before.heading != unit.heading)
    )


def _in_source_order(chosen: Sequence[Candidate]) -> list[Candidate]:
    """Order units of one document's section as the source has them; sections stay in the order of their best unit."""
    places: dict[tuple[str, int], int] = {}
    for candidate in chosen:
        places.setdefault((candidate.unit.document_id, candidate.unit.section), len(places))
    return sorted(
        chosen,
        key=lambda candidate: (
            places[candidate.unit.document_id, candidate.unit.section],
            candidate.unit.block,
            candidate.unit.start,
        ),
    )


def _text_of(unit: AnswerUnit, before: AnswerUnit | None, units: Sequence[AnswerUnit]) -> tuple[AnswerUnit, str]:
    text = unit.text
    if unit.kind in (*_SENTENCES, UnitKind.ITEM) and text.rstrip().endswith(_ENDS_LEAD):
        follows = [
            other
            for other in units
            if other.document_id == unit.document_id
            and other.section == unit.section
            and other.start <= unit.start < other.end
            and other.kind in (UnitKind.CODE, UnitKind.LIST)
            and other.lead == text[: len(other.lead)]
            and other.lead
        ]
        if follows:
            return follows[0], follows[0].text
    if unit.kind is UnitKind.ITEM and unit.lead and (before is None or before.lead != unit.lead):
        return unit, f"{unit.lead} {text}"
    if unit.kind in _SENTENCES and unit.term and (before is None or before.term != unit.term):
        named = text.startswith(unit.term) or len(unit.term.split()) > MAX_TERM_WORDS
        return unit, text if named else f"{unit.term}: {text}"
    short = 0 < len(unit.previous.split()) <= MAX_PREVIOUS_WORDS
    if short and REFERS_BACK.match(text) and (before is None or before.text != unit.previous):
        return unit, f"{unit.previous} {text}"
    return unit, text


def _table(chosen: Sequence[Candidate]) -> list[ShownUnit] | None:
    """Return several rows with one header as a small table, or None when they are not that."""
    if len(chosen) < 2 or any(candidate.unit.kind is not UnitKind.ROW for candidate in chosen):
        return None
    header = chosen[0].unit.header
    if len(header) < 2 or any(candidate.unit.header != header for candidate in chosen):
        return None
    if len({candidate.unit.document_id for candidate in chosen}) > 1 or len(header) > 8:
        return None
    rows = sorted(chosen, key=lambda candidate: candidate.unit.start)
    lines = [_line(header), "|" + "---|" * len(header), *(_line(row.unit.cells) for row in rows)]
    best = max(rows, key=lambda row: row.score)
    return [ShownUnit(tuple(row.unit for row in rows), "\n".join(lines), best.probability)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in cells) + " |"
