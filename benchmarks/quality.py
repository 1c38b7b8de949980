"""Benchmark of answers and ranking: a fleet is started, documents are added, and questions are asked over HTTP.

`python benchmarks/quality.py documentation` builds the two corpora of documentation pages from Debian packages and asks
the questions of benchmarks/questions. `cases FILE ...` runs files of cases in groups. `--data DIR`, with collections in
BEIR layout named `cranfield` and `xquad-en`, adds ranking, containment and refusals. Results go to benchmarks/results.

Run: python benchmarks/quality.py [documentation|cases|ranking|refusals ...] [--data DIR] [--cases FILE ...]
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from argosy.evaluation import beir, questions
from argosy.evaluation.cases import Case
from benchmarks import _documentation
from benchmarks._answers import HEAD, Tally, judge
from benchmarks._asking import Asking
from benchmarks._cases import run_cases
from benchmarks._judged import Ranked, containment, measure_ranking, refusals
from benchmarks._running import RunningFleet, argosy

QUESTIONS = Path(__file__).resolve().parent / "questions"
RESULTS = Path(__file__).resolve().parent / "results"
PARTS = ("documentation", "cases", "ranking", "refusals")
DEPTH = 20
TOP = (3, 5, DEPTH)
CORPORA = ("dev", "test")


def main() -> None:
    options = _options()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="argosy-quality-") as scratch:
        folder = Path(scratch)
        argosy("models", "fetch", folder=folder)
        with RunningFleet(folder / "data") as fleet:
            asking = Asking(fleet)
            if "documentation" in options.parts and _documentation.can_build(options.packages):
                results["documentation"] = documentation(asking, folder, options.packages, options.corpora)
            if "cases" in options.parts:
                results["cases"] = [cases(asking, path) for path in options.cases]
            if options.data is not None:
                if "ranking" in options.parts:
                    results["ranking"] = ranking(asking, options.data)
                if "refusals" in options.parts:
                    results["refusals"] = refused(asking, options.data)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"quality-{datetime.datetime.now():%Y%m%dT%H%M%S}.json"
    path.write_text(json.dumps(results, indent=1))
    print(f"\nWritten to {path}", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"{', '.join(PARTS)}; all")
    parser.add_argument("--data", type=Path, help="Folder with collections in BEIR layout: cranfield and xquad-en.")
    parser.add_argument("--cases", type=Path, nargs="*", default=[], help="Files of cases in groups.")
    parser.add_argument("--corpora", nargs="*", choices=CORPORA, default=list(CORPORA))
    parser.add_argument(
        "--packages",
        type=Path,
        default=Path(tempfile.gettempdir()) / "argosy-documentation",
        help="Folder for the downloaded packages; those found there are used again.",
    )
    options = parser.parse_args()
    options.parts = options.parts or list(PARTS)
    return options


def documentation(asking: Asking, folder: Path, packages: Path, corpora: Sequence[str]) -> dict[str, Any]:
    """Add each corpus of pages, ask its questions, and print one row for each half of them."""
    root = _documentation.unpack(packages)
    found: dict[str, Any] = {}
    tallies: list[Tally] = []
    for part in corpora:
        pages = _documentation.build(root, part, folder / "pages" / part)
        wall_s, cpu_s = asking.add_folder(folder / "pages" / part, f"documentation-{part}")
        tally = ask_all(
            asking, f"documentation-{part}", part, questions.read(QUESTIONS / f"documentation-{part}.json").cases
        )
        tallies += [tally, *_by_kind(tally)]
        found[part] = {
            "pages": len(pages),
            "seconds": wall_s,
            "cpu_s": cpu_s,
            "counts": tally.counts(),
            "failures": tally.failures(),
        }
        print(f"\n{part}: {len(pages)} pages added in {wall_s:.0f} s, with {cpu_s:.0f} s of processor time")
        reached = ", ".join(f"{tally.reached(depth)} in the top {depth}" for depth in TOP)
        print(f"The passage that answers: {reached}, of {tally.counts()['answerable']}")
        print("\n".join(tally.failures()))
    print(f"\nDocumentation questions\n\n{HEAD}")
    print("\n".join(tally.row() for tally in tallies))
    return found


def ask_all(asking: Asking, collection: str, name: str, cases: Sequence[Case]) -> Tally:
    tally = Tally(name)
    for case in cases:
        answer = asking.answer(collection, case.turns)
        tally.judged.append(judge(case, answer, asking.passages(collection, case.question, DEPTH)))
    return tally


def _by_kind(tally: Tally) -> list[Tally]:
    kinds = dict.fromkeys(one.case.kind for one in tally.judged)
    return [Tally(f"{tally.name}, {kind}", [one for one in tally.judged if one.case.kind == kind]) for kind in kinds]


def cases(asking: Asking, path: Path) -> dict[str, Any]:
    """Run a file of cases in groups and print the cases that fail, and the right ones by kind."""
    ran = run_cases(asking, path)
    print(f"\n{path}\n")
    print("\n".join(ran.failures))
    print("\n| kind | right | cases |\n|---|---|---|")
    print("\n".join(f"| {kind} | {right} | {count} |" for kind, (right, count) in ran.by_kind.items()))
    print(f"| all | {ran.right} | {ran.count} |")
    return {"file": path.name, "right": ran.right, "count": ran.count, "by_kind": ran.by_kind, "failures": ran.failures}


def ranking(asking: Asking, data: Path) -> dict[str, Any]:
    """Measure ranking in every mode, and containment where the queries have answers."""
    found: dict[str, Any] = {}
    rows: list[Ranked] = []
    held: list[str] = []
    print("\n| collection | mode | nDCG@10 | recall@10 | recall@100 | MRR@10 |\n|---|---|---|---|---|---|", flush=True)
    for name in ("cranfield", "xquad-en"):
        dataset = beir.read(data / name)
        assert dataset.corpus is not None
        asking.add_documents(beir.documents(dataset.corpus), name)
        for row in measure_ranking(asking, name, dataset.cases):
            print(row.row(), flush=True)
            rows.append(row)
        if any(case.any for case in dataset.cases):
            share, words = containment(asking, name, dataset.cases)
            found[f"{name} containment"] = {"share": share, "words": words}
            held.append(f"{name}: the answer holds the expected text for {share:.3f}, in {words:.1f} words")
    print("\n" + "\n".join(held), flush=True)
    return found | {f"{row.collection} {row.mode}": row.values for row in rows}


def refused(asking: Asking, data: Path) -> dict[str, Any]:
    """Measure refusals of questions whose article is absent, and of questions about another collection."""
    found = refusals(asking, data)
    print("\n| questions | refused | of |\n|---|---|---|")
    print("\n".join(f"| {name} | {count / of:.1%} | {of} |" for name, (count, of) in found.items()))
    return {name: {"refused": count, "of": of} for name, (count, of) in found.items()}


if __name__ == "__main__":
    main()
