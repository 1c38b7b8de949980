"""Reader of collections in BEIR layout: `corpus.jsonl`, `queries.jsonl`, and judgements in `qrels/*.tsv`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from argosy.contracts.documents import MAX_SOURCE_CHARS, MAX_TITLE_CHARS, TextDocument
from argosy.contracts.errors import InvalidRequest
from argosy.evaluation.cases import MAX_CASES, MAX_EXPECTED, MAX_QUESTION_CHARS, Case, Dataset, digest_of
from argosy.evaluation.reading import MAX_LINE_BYTES, Place, json_of, lines_of, object_of, string, strings

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels"
DEFAULT_SPLIT = "test"
MAX_JUDGEMENTS = 5_000_000


def is_beir(folder: Path) -> bool:
    return (folder / CORPUS).is_file() or (folder / QUERIES).is_file()


def read(folder: Path, split: str | None = None) -> Dataset:
    """Read the judged queries of a folder. The corpus is read later, by `documents`.

    A query's `metadata.answers` are texts of which one must be in the answer.

    Raises: InvalidRequest or NotFound that names the file, the line and what is wrong.
    """
    qrels = _qrels_file(folder, split)
    judged = _judgements(qrels)
    if not (folder / CORPUS).is_file():
        raise InvalidRequest(f"{folder} has no {CORPUS}. Put one JSON object with _id, title and text on each line.")
    cases = [
        Case(query, (text,), any=answers, relevance=judged[query])
        for query, text, answers in _queries(folder / QUERIES)
        if query in judged
    ]
    if not cases:
        raise InvalidRequest(
            f"No query of {folder / QUERIES} is judged in {qrels}. Check that their _id and query-id are the same."
        )
    if missing := len(judged) - len(cases):
        raise InvalidRequest(
            f"{qrels} judges {missing} queries that {folder / QUERIES} does not have. Add them or remove their rows."
        )
    return Dataset(folder.resolve().name, "beir", digest_of(cases), tuple(cases), corpus=folder / CORPUS)


def documents(corpus: Path) -> Iterator[TextDocument]:
    """Yield the documents of a corpus file as they are read. A document without text is its title alone.

    Raises: InvalidRequest that names the line.
    """
    seen: set[str] = set()
    for place, line in lines_of(corpus):
        fields = object_of(json_of(line, place), place)
        document = string(fields, "_id", place, MAX_SOURCE_CHARS, least_chars=1)
        if document in seen:
            place.refuse(f"the _id {document!r} occurs twice. Give each document an _id of its own.")
        seen.add(document)
        title = string(fields, "title", place, MAX_LINE_BYTES).strip()[:MAX_TITLE_CHARS]
        text = string(fields, "text", place, MAX_LINE_BYTES)
        if text.strip() or title:
            yield TextDocument(text=text if text.strip() else title, id=document, title=title or None)


def _queries(path: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    seen: set[str] = set()
    for place, line in lines_of(path):
        fields = object_of(json_of(line, place), place)
        query = string(fields, "_id", place, MAX_SOURCE_CHARS, least_chars=1)
        if query in seen:
            place.refuse(f"the _id {query!r} occurs twice. Give each query an _id of its own.")
        seen.add(query)
        if len(seen) > MAX_CASES:
            place.refuse(f"there are more than {MAX_CASES} queries. Split the file.")
        text = string(fields, "text", place, MAX_QUESTION_CHARS, least_chars=1)
        metadata = fields.get("metadata")
        known: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
        yield query, text, strings(known, "answers", place, MAX_EXPECTED, MAX_QUESTION_CHARS)


def _qrels_file(folder: Path, split: str | None) -> Path:
    found = sorted((folder / QRELS).glob("*.tsv"))
    if not found:
        raise InvalidRequest(
            f"{folder / QRELS} has no .tsv file. Each of its lines names query-id, corpus-id and score, with tabs."
        )
    names = [path.stem for path in found]
    wanted = split or (DEFAULT_SPLIT if DEFAULT_SPLIT in names or len(found) > 1 else names[0])
    if wanted not in names:
        raise InvalidRequest(f"{folder / QRELS} has no {wanted}.tsv. Choose with --split one of: {', '.join(names)}.")
    return found[names.index(wanted)]


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = {}
    for number, (place, line) in enumerate(lines_of(path)):
        if number > MAX_JUDGEMENTS:
            place.refuse(f"there are more than {MAX_JUDGEMENTS} judgements. Split the file.")
        query, document, score = _row(line, place)
        if number == 0 and not _is_whole(score):
            continue  # the heading
        if not _is_whole(score):
            place.refuse(f"the score is {score[:40]!r}; it must be a whole number, like 1.")
        judged.setdefault(query, {})[document] = int(score)
    if not judged:
        Place(path).refuse("the file has no judgement.")
    return judged


def _row(line: str, place: Place) -> tuple[str, str, str]:
    """Return query, document and score of a row of BEIR (three columns) or of TREC (four, the second is unused)."""
    columns = [column.strip() for column in line.rstrip("\r\n").split("\t")]
    if len(columns) == 1:
        columns = line.split()
    if len(columns) == 4:
        columns = [columns[0], columns[2], columns[3]]
    if len(columns) != 3:
        place.refuse(f"{len(columns)} columns; three are expected: query-id, corpus-id and score, with tabs.")
    return columns[0], columns[1], columns[2]


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and len(text) < 10
