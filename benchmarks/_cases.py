"""Run of a file of cases in groups: each group's files become a collection of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from argosy.evaluation import groups
from argosy.evaluation.cases import Case
from argosy.evaluation.judging import Found, Judged, judge_answer, judge_search
from benchmarks._asking import Asking

DEFAULT_TOP_K = 5


@dataclass(slots=True)
class Ran:
    """Results of a file: right cases and all cases by kind, and a line for each case that fails."""

    by_kind: dict[str, tuple[int, int]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def right(self) -> int:
        return sum(right for right, _ in self.by_kind.values())

    @property
    def count(self) -> int:
        return sum(count for _, count in self.by_kind.values())

    def note(self, case: Case, text: str, judged: Judged) -> None:
        right, count = self.by_kind.get(case.kind, (0, 0))
        good = bool(judged.values["right"])
        self.by_kind[case.kind] = (right + good, count + 1)
        if not good:
            asked = " / ".join(case.turns)
            said = " ".join(text.split())[:160]
            # Form and citations are judged elsewhere, with the text around each quote.
            wrong = [why for why in judged.wrong if not why.startswith(("citations:", "readability:"))]
            self.failures.append(f"{case.kind}: {asked!r}: {'; '.join(wrong)} | {said}")


def run_cases(asking: Asking, path: Path) -> Ran:
    """Add the files of each group and run its cases in their order."""
    dataset = groups.read(path, json.loads(path.read_text()))
    ran = Ran()
    for number, files in enumerate(dataset.groups):
        collection = f"{path.parent.name}-{path.stem}-{number}".lower().replace(".", "-")
        asking.add_files(files, collection)
        for case in dataset.cases:
            if case.group == number:
                ran.note(case, *_run(asking, collection, case))
    return ran


def _run(asking: Asking, collection: str, case: Case) -> tuple[str, Judged]:
    if case.searched:
        results = asking.results(collection, case.question, case.top_k or DEFAULT_TOP_K, case.mode or "hybrid")
        found = [Found(one["document_id"], one["name"], one["source"], one["text"]) for one in results]
        return "\n".join(one.text for one in found), judge_search(case, found)
    answer = asking.answer(collection, case.turns)
    return answer.text, judge_answer(case, answer.text, answer.citations, {})
