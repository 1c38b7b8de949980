"""Ranking, containment and refusals over collections in BEIR layout."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.contracts.documents import TextDocument
from argosy.evaluation import beir
from argosy.evaluation.cases import Case
from argosy.evaluation.judging import Found, judge_ranking
from argosy.evaluation.metrics import RANKING_METRICS
from argosy.evaluation.refusals import is_refusal
from argosy.evaluation.texts import contains, word_count
from benchmarks._asking import Asking

MODES = ("hybrid", "lexical", "dense")
CHUNKS = 150
"""Number of chunks that are searched: several may be of one document, and 100 documents are looked at."""
ASKED_ABROAD = 200
"""Most questions that are asked of a collection that does not hold their answer."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Means of the ranking metrics over a collection's queries in one mode."""

    collection: str
    mode: str
    values: dict[str, float]

    def row(self) -> str:
        shown = " | ".join(f"{self.values[name]:.4f}" for name in RANKING_METRICS)
        return f"| {self.collection} | {self.mode} | {shown} |"


def measure_ranking(asking: Asking, collection: str, cases: Sequence[Case]) -> Iterator[Ranked]:
    """Yield the means of each mode as they are known."""
    return (_ranked(asking, collection, cases, mode) for mode in MODES)


def containment(asking: Asking, collection: str, cases: Sequence[Case]) -> tuple[float, float]:
    """Return the share of answers that hold an expected text, and their mean number of words. A refusal holds none."""
    held, words = [], []
    for case in cases:
        answer = asking.answer(collection, case.turns)
        held.append(any(contains(answer.text, want) for want in case.any))
        if not is_refusal(answer.text, len(answer.citations)):
            words.append(word_count(answer.text))
    return statistics.fmean(held), statistics.fmean(words or [0])


def refusals(asking: Asking, data: Path) -> dict[str, tuple[int, int]]:
    """Return how many questions were refused, and of how many, by what their collection lacks.

    Every second article of xquad-en is added, so that questions about the others have no answer. The collections
    `cranfield` and `xquad-en` are made when they are not there.
    """
    dataset = beir.read(data / "xquad-en")
    assert dataset.corpus is not None
    kept = _every_second_article(beir.documents(dataset.corpus))
    asking.add_documents(kept, "xquad-half")
    known = {document.id for document in kept}
    inside = [case for case in dataset.cases if known & case.relevance.keys()]
    outside = [case for case in dataset.cases if not known & case.relevance.keys()]
    other = beir.read(data / "cranfield")
    return {
        "answerable, wrongly": _refused(asking, "xquad-half", inside),
        "article absent": _refused(asking, "xquad-half", outside),
        "of another collection (cranfield)": _refused(asking, "xquad-half", other.sample(ASKED_ABROAD).cases),
    }


def _every_second_article(documents: Iterator[TextDocument]) -> list[TextDocument]:
    listed = list(documents)
    articles = sorted({document.title or "" for document in listed})
    chosen = set(articles[::2])
    return [document for document in listed if (document.title or "") in chosen]


def _refused(asking: Asking, collection: str, cases: Sequence[Case]) -> tuple[int, int]:
    answers = [asking.answer(collection, case.turns) for case in cases]
    return sum(is_refusal(answer.text, len(answer.citations)) for answer in answers), len(answers)


def _ranked(asking: Asking, collection: str, cases: Sequence[Case], mode: str) -> Ranked:
    values = []
    for case in cases:
        results = asking.results(collection, case.question, CHUNKS, mode)
        found = [Found(one["document_id"], one["name"], one["source"], one["text"]) for one in results]
        values.append(judge_ranking(case, found))
    return Ranked(collection, mode, {name: statistics.fmean(one[name] for one in values) for name in RANKING_METRICS})
