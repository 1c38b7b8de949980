"""Bonuses and penalties of a unit by its kind and by the kind of answer that is asked for."""

from __future__ import annotations

import re

from argosy.answering.identifiers import holds, named_by
from argosy.answering.questions import AskedQuestion
from argosy.answering.terms import terms_of
from argosy.answering.units.reading import AnswerUnit
from argosy.answering.weights import UnitTerms, Weights, f1_of
from argosy.contracts.units import UnitFlag, UnitKind

HEADING_MATCH = 0.6
"""Least likeness of a heading and the question at which its section is the answer."""
EXCLUDED = 20.0
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
_STATEMENTS = (*_SENTENCES, UnitKind.ITEM, UnitKind.DEFINITION)
_ENDS_STATEMENT = (".", "!", "。", "！", "।", "۔", "…")


def adjustment(
    question: AskedQuestion, unit: AnswerUnit, terms: UnitTerms, weights: Weights, heading: float, mine: str
) -> float:
    """Return what is added to the score of a unit. `mine` are its words with its term and its header."""
    asked, kind = question.asked, unit.kind
    bare = unit.text.rstrip()
    adjusted = 0.0
    if heading >= HEADING_MATCH and unit.block == 0 and kind is not UnitKind.CODE:
        adjusted += 2.0 * heading
    if kind is UnitKind.DEFINITION and unit.term:
        about = set(terms_of(unit.term, question.language))
        named = any(holds(name, unit.term) for name in question.identifiers) or (
            asked.definition and bool(question.words & named_by(unit.term))
        )
        if named or (about and about <= set(question.terms)) or f1_of(set(question.terms), about, weights) > 0.5:
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
    if bare.endswith(("?", "？")) or (terms.own <= set(question.terms) and not _tells_yes_or_no(question, unit)):
        adjusted -= EXCLUDED
    return adjusted


def _is_synopsis(text: str) -> bool:
    return len(_CODE_SPAN.findall(text)) >= 3 and len(_WORDS.findall(_CODE_SPAN.sub("", text))) <= 3


def _tells_yes_or_no(question: AskedQuestion, unit: AnswerUnit) -> bool:
    """Return whether the unit is a whole statement, which answers a yes-or-no question without any new word."""
    return question.asked.yes_no and unit.kind in _STATEMENTS and unit.text.rstrip().endswith(_ENDS_STATEMENT)
