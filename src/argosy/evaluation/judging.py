"""Judgement of one case: the values of its metrics, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from argosy.contracts.generation import Citation
from argosy.evaluation.cases import Case
from argosy.evaluation.citations import Stored, citation_faults, dangling_markers
from argosy.evaluation.metrics import documents_of, ranking_values
from argosy.evaluation.readability import readability_faults
from argosy.evaluation.refusals import is_refusal
from argosy.evaluation.texts import contains, contains_literally, word_count

SHOWN = 80


@dataclass(slots=True)
class Judged:
    """Values of the metrics that apply to the case, and sentences about what is wrong."""

    values: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """Document of one passage that was found, best first."""

    document_id: str
    name: str
    source: str
    text: str


def judge_ranking(case: Case, found: Sequence[Found]) -> dict[str, float]:
    """Return the ranking metrics of the passages, collapsed to documents by their best passage."""
    return ranking_values(ranking(case, found), case.relevance)


def ranking(case: Case, found: Sequence[Found]) -> list[str]:
    """Return the documents found, named as the case names them, else by their source."""
    names = set(case.relevance)
    return documents_of(_name(one, names) for one in found)


def judge_search(case: Case, found: Sequence[Found]) -> Judged:
    """Judge a case that is `searched`: its texts must be in the passages, its document must come first."""
    wrong = _texts_wrong(case, "\n".join(one.text for one in found))
    wrong += _first_wrong(case, found[0].name if found else "")
    return Judged({"right": float(not wrong)}, wrong)


def judge_answer(
    case: Case, answer: str, citations: Sequence[Citation], stored: Mapping[str, Sequence[Stored]]
) -> Judged:
    """Judge an answer. `right` is about its content; form and citations have metrics of their own."""
    refused = is_refusal(answer, len(citations))
    wrong = _texts_wrong(case, answer)
    if case.nothing and not refused:
        wrong.append("answered what the documents do not say")
    wrong += _first_wrong(case, citations[0].name if citations else "")
    if loose := dangling_markers(answer, citations):
        wrong.append(f"markers without a citation: {loose}")
    judged = Judged({"right": float(not wrong)}, wrong)
    if case.nothing:
        judged.values["refused_rightly"] = float(refused)
    elif case.answerable:
        judged.values["refused_wrongly"] = float(refused)
    if case.all or case.any:
        judged.values["answer_containment"] = float(_holds_expected(case, answer))
    if not refused:
        judged.values["answer_words"] = float(word_count(answer))
        if not case.nothing:
            faults = citation_faults(answer, citations, stored, " ".join(case.turns)) if citations else ["no citation"]
            judged.values["citations_hold"] = float(not faults)
            judged.wrong += [f"citations: {fault}" for fault in faults]
        unreadable = readability_faults(answer, citations, stored)
        judged.values["readable"] = float(not unreadable)
        judged.wrong += [f"readability: {fault}" for fault in unreadable]
    return judged


def judge_failure(case: Case, why: str) -> Judged:
    """Judge a case that got an error instead of an answer."""
    values = {"right": 0.0}
    if case.all or case.any:
        values["answer_containment"] = 0.0
    return Judged(values, [f"no answer: {why}"])


def _holds_expected(case: Case, text: str) -> bool:
    check = contains_literally if case.literal else contains
    return all(check(text, want) for want in case.all) and (not case.any or any(check(text, want) for want in case.any))


def _texts_wrong(case: Case, text: str) -> list[str]:
    check = contains_literally if case.literal else contains
    wrong = [f"lacks {_short(want)}" for want in case.all if not check(text, want)]
    if case.any and not any(check(text, want) for want in case.any):
        several = len(case.any) > 1
        wrong.append(f"lacks any of {[*case.any]}"[: 2 * SHOWN] if several else f"lacks {_short(case.any[0])}")
    return wrong + [f"has {_short(bad)}" for bad in case.none if check(text, bad)]


def _first_wrong(case: Case, first: str) -> list[str]:
    return [] if case.first is None or first.endswith(case.first) else [f"first is {first!r}, not {case.first!r}"]


def _name(one: Found, names: set[str]) -> str:
    """Return which of `names` means the document: its id, source, name, or the end of its path. Else its source."""
    for known in (one.source, one.document_id, one.name):
        if known in names:
            return known
    parts = one.source.split("/")
    ends = ("/".join(parts[at:]) for at in range(1, len(parts)))
    return next((end for end in ends if end in names), one.source)


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")
