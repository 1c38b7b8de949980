"""Recognition of what a path holds: a collection in BEIR layout, cases in groups, or questions."""

from __future__ import annotations

from pathlib import Path

from argosy.contracts.errors import InvalidRequest, NotFound
from argosy.evaluation import beir, groups, questions
from argosy.evaluation.cases import Dataset
from argosy.evaluation.reading import Place, json_of, text_of

QUESTION_FILES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")


def read(path: Path, split: str | None = None) -> Dataset:
    """Read the cases of a folder or file. Raises: NotFound or InvalidRequest that names the place and the remedy."""
    if path.is_dir():
        if not beir.is_beir(path):
            raise InvalidRequest(
                f"{path} is not in BEIR layout: it has no {beir.CORPUS} and {beir.QUERIES}. For documents of your own, "
                "draft questions with: argosy eval make"
            )
        return beir.read(path, split)
    if not path.exists():
        raise NotFound(f"There is no file or folder {path}. Check the path.")
    if path.suffix.lower() not in QUESTION_FILES:
        raise InvalidRequest(
            f"{path} is not a file of questions. Give a folder in BEIR layout, or a file that ends with one of: "
            f"{' '.join(QUESTION_FILES)}"
        )
    if path.suffix.lower() == ".json":
        listed = json_of(text_of(path), Place(path))
        if groups.is_groups(listed):
            return groups.read(path, listed)
    return questions.read(path)
