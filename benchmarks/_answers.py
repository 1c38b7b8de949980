"""Verdicts on answers: what is right, partly right, wrong, refused or false, counted for a table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from argosy.contracts.generation import Citation
from argosy.evaluation.cases import Case
from argosy.evaluation.citations import Stored, citation_faults
from argosy.evaluation.judging import judge_answer
from argosy.evaluation.readability import readability_faults
from argosy.evaluation.refusals import is_refusal
from argosy.evaluation.texts import contains, word_count

Verdict = Literal["right", "partly", "wrong", "refused wrongly"]
VERDICTS: tuple[Verdict, ...] = ("right", "partly", "wrong", "refused wrongly")
SHOWN_CHARS = 240


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of the fleet. `first_token_ms` is the caller's time until the first text."""

    text: str
    citations: tuple[Citation, ...]
    first_token_ms: float


@dataclass(frozen=True, slots=True)
class Passage:
    """Passage of a search result, as far as it is judged here. `text` is the slice [start, end) of the document."""

    document_id: str
    name: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdict on one answer.

    `false` names what the answer states wrongly, `markup` what is left of the page's markup. `rank` is the rank of the
    first passage that holds the expected answer, when passages were searched.
    """

    case: Case
    answer: Answer
    verdict: Verdict
    refused: bool
    false: tuple[str, ...]
    markup: tuple[str, ...]
    rank: int | None = None

    @property
    def words(self) -> int:
        return word_count(self.answer.text)


def judge(case: Case, answer: Answer, passages: Sequence[Passage] = ()) -> Judged:
    """Judge an answer to a question that has one document with the answer, or none."""
    refused = is_refusal(answer.text, len(answer.citations))
    stored = _stored(passages)
    false = () if refused else tuple(_false(case, answer, stored))
    markup = () if refused else tuple(readability_faults(answer.text, answer.citations, stored))
    rank = next((at for at, passage in enumerate(passages, 1) if answers(case, passage)), None)
    return Judged(case, answer, _verdict(case, answer, refused), refused, false, markup, rank)


def answers(case: Case, passage: Passage) -> bool:
    """Return whether the passage is of the document that answers, and holds what is expected."""
    if passage.name not in case.relevance:
        return False
    return all(contains(passage.text, want) for want in case.all) and (
        not case.any or any(contains(passage.text, want) for want in case.any)
    )


def _verdict(case: Case, answer: Answer, refused: bool) -> Verdict:
    if case.nothing:
        return "right" if refused else "wrong"
    if refused:
        return "refused wrongly"
    if judge_answer(case, answer.text, answer.citations, {}).values["right"]:
        return "right"
    holds_some = any(contains(answer.text, want) for want in (*case.all, *case.any))
    cites = any(citation.name in case.relevance for citation in answer.citations)
    return "partly" if holds_some or cites else "wrong"


def _stored(passages: Sequence[Passage]) -> dict[str, list[Stored]]:
    stored: dict[str, list[Stored]] = {}
    for one in passages:
        stored.setdefault(one.document_id, []).append(Stored(one.start, one.end, one.text))
    return stored


def _false(case: Case, answer: Answer, stored: Mapping[str, Sequence[Stored]]) -> list[str]:
    """Return the false statements that can be found without reading: the least number there is."""
    found = [f"states {bad!r}" for bad in case.none if contains(answer.text, bad)]
    if case.nothing:
        found.append("answers what the documents do not say")
    faults = citation_faults(answer.text, answer.citations, stored, " ".join(case.turns))
    return found + [f"unsupported: {fault}" for fault in faults if "does not hold" in fault]


@dataclass(slots=True)
class Tally:
    """Verdicts over one set of questions."""

    name: str
    judged: list[Judged] = field(default_factory=list)

    def counts(self) -> Mapping[str, int]:
        answerable = [one for one in self.judged if not one.case.nothing]
        without = [one for one in self.judged if one.case.nothing]
        return {
            **{verdict: sum(one.verdict == verdict for one in answerable) for verdict in VERDICTS},
            "answerable": len(answerable),
            "false": sum(bool(one.false) for one in answerable),
            "markup": sum(bool(one.markup) for one in self.judged),
            "unanswerable": len(without),
            "refused rightly": sum(one.refused for one in without),
        }

    def reached(self, depth: int) -> int:
        """Return how many questions have a passage with their answer among the first `depth`."""
        return sum(one.rank is not None and one.rank <= depth for one in self.judged)

    def words(self) -> float:
        """Return the mean number of words of the answers that are no refusals."""
        return statistics.fmean([one.words for one in self.judged if not one.refused] or [0.0])

    def first_token_ms(self) -> float:
        return statistics.median([one.answer.first_token_ms for one in self.judged] or [0.0])

    def row(self) -> str:
        n = self.counts()
        verdicts = " | ".join(str(n[verdict]) for verdict in VERDICTS)
        return (
            f"| {self.name} | {n['answerable']} | {verdicts} | {n['false']} | {n['markup']} | {self.words():.0f} "
            f"| {n['refused rightly']} of {n['unanswerable']} | {self.first_token_ms():.0f} |"
        )

    def failures(self) -> list[str]:
        """Return a line for each answer that is not right or not clean."""
        return [
            f"{one.verdict}{_place(one)}: {one.case.question!r}"
            f"{'; ' + '; '.join((*one.false, *one.markup)) if one.false or one.markup else ''}"
            f" | {' '.join(one.answer.text.split())[:SHOWN_CHARS]}"
            for one in self.judged
            if one.verdict != "right" or one.false or one.markup
        ]


HEAD = (
    "| questions | with an answer | right | partly | wrong | refused wrongly | false | markup | words "
    "| refused rightly | first token p50, ms |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def _place(one: Judged) -> str:
    if one.case.nothing:
        return ""
    return f" (answering passage at {one.rank})" if one.rank is not None else " (no answering passage found)"
