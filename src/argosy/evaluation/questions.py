"""Reader of questions with expected answers or documents: CSV with a heading line, a JSON list, or JSON lines.

Columns or fields: `question`; `expected`, the text that the answer must contain; `document`, what should be found (its
name, path, source or id); `kind`; `id`; `unanswerable`, yes when the documents do not say. In CSV, alternatives are
separated by ` | `. JSON also takes the fields of cases in groups (`all`, `any`, `none`, `nothing`, `turns`, …).
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from argosy.contracts.documents import MAX_SOURCE_CHARS
from argosy.evaluation.cases import (
    MAX_CASES,
    MAX_EXPECTED,
    MAX_LABEL_CHARS,
    MAX_QUESTION_CHARS,
    MAX_TURNS,
    Case,
    Dataset,
    digest_of,
)
from argosy.evaluation.reading import Place, json_of, lines_of, object_of, string, strings, text_of

OR = " | "
ALIASES = {
    "query": "question",
    "ask": "question",
    "answer": "expected",
    "answers": "expected",
    "expected_answer": "expected",
    "expected_answers": "expected",
    "ground_truth": "expected",
    "documents": "document",
    "doc": "document",
    "file": "document",
    "source": "document",
    "category": "kind",
}
FIELDS = frozenset({"id", "question", "expected", "document", "kind", "unanswerable", "note"})
CASE_FIELDS = frozenset({"all", "any", "none", "nothing", "first", "turns", "search", "mode", "top_k"})
YES = frozenset({"yes", "y", "true", "1", "x"})
NO = frozenset({"", "no", "n", "false", "0"})
MODES = ("hybrid", "dense", "lexical")
MAX_TOP_K = 50


def read(path: Path) -> Dataset:
    """Read the questions of a file. Raises: InvalidRequest or NotFound that names the place and what is wrong."""
    rows = _csv(path) if path.suffix.lower() in (".csv", ".tsv") else _json(path)
    cases = tuple(_numbered(rows))
    if not cases:
        Place(path).refuse("the file has no question. Write one question on each line below the heading.")
    return Dataset(path.stem, "questions", digest_of(cases), cases)


def case_of(fields: dict[str, Any], place: Place, case_id: str, *, literal: bool = False, group: int = 0) -> Case:
    """Return the case that a row or an object describes. Raises: InvalidRequest that names the field."""
    fields = {ALIASES.get(name, name): value for name, value in fields.items()}
    for name in fields:
        _check_name(name, place)
    searched, turns = _turns(fields, place)
    mode = string(fields, "mode", place, MAX_LABEL_CHARS) or None
    if mode is not None and mode not in MODES:
        place.refuse(f"the field 'mode' is {mode!r}; it must be one of {', '.join(MODES)}.")
    found = strings(fields, "document", place, MAX_EXPECTED, MAX_SOURCE_CHARS)
    return Case(
        id=case_id,
        turns=turns,
        kind=string(fields, "kind", place, MAX_LABEL_CHARS),
        searched=searched,
        mode=mode,
        top_k=_top_k(fields, place),
        all=strings(fields, "all", place, MAX_EXPECTED, MAX_QUESTION_CHARS),
        any=strings(fields, "any", place, MAX_EXPECTED, MAX_QUESTION_CHARS)
        or strings(fields, "expected", place, MAX_EXPECTED, MAX_QUESTION_CHARS),
        none=strings(fields, "none", place, MAX_EXPECTED, MAX_QUESTION_CHARS),
        nothing=_yes(fields, "nothing", place) or _yes(fields, "unanswerable", place),
        first=string(fields, "first", place, MAX_SOURCE_CHARS) or None,
        literal=literal,
        relevance=dict.fromkeys(found, 1),
        group=group,
    )


def _numbered(rows: Iterable[tuple[Place, dict[str, Any]]]) -> Iterator[Case]:
    seen: set[str] = set()
    for number, (place, fields) in enumerate(rows, 1):
        if number > MAX_CASES:
            place.refuse(f"there are more than {MAX_CASES} questions. Split the file.")
        case_id = string(fields, "id", place, MAX_LABEL_CHARS).strip() or str(number)
        if case_id in seen:
            place.refuse(f"the id {case_id!r} occurs twice. Give each question an id of its own, or none.")
        seen.add(case_id)
        case = case_of(fields, place, case_id)
        if not (case.asks or case.searched or case.relevance):
            place.refuse(
                "nothing is expected. Fill in 'expected' (a text of the right answer), 'document' (what should be "
                "found), or 'unanswerable' (yes)."
            )
        if case.nothing and (case.all or case.any or case.first):
            place.refuse("an answer is expected and 'unanswerable' is yes. Keep one of them.")
        yield case


def _csv(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    text = text_of(path)
    heading = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    columns: list[str] = []
    try:
        for row in reader:
            place = Place(path, reader.line_num)
            if not any(cell.strip() for cell in row):
                continue
            if not columns:
                columns = [name.strip().lower().replace(" ", "_") for name in row]
                _check_columns(columns, place)
                continue
            if len(row) > len(columns):
                place.refuse(
                    f"{len(row)} cells, but the heading names {len(columns)} columns. Put cells that contain "
                    f"{separator!r} into double quotes."
                )
            yield place, _cells(dict(zip(columns, row, strict=False)))
    except csv.Error as error:
        Place(path, reader.line_num).refuse(f"this is not valid CSV ({error}). Correct it.")


def _cells(row: dict[str, str]) -> dict[str, Any]:
    """Return the filled cells, with the alternatives in `expected` and `document` as lists."""
    cells: dict[str, Any] = {}
    for name, cell in row.items():
        if not cell.strip():
            continue
        several = ALIASES.get(name, name) in ("expected", "document")
        cells[name] = [part.strip() for part in cell.split(OR) if part.strip()] if several else cell.strip()
    return cells


def _check_columns(columns: list[str], place: Place) -> None:
    known = [ALIASES.get(name, name) for name in columns]
    for name in known:
        _check_name(name, place)
        if known.count(name) > 1:
            place.refuse(f"two columns mean {name!r}. Keep one of them.")
    if "question" not in known:
        place.refuse("the heading has no column 'question'. Write for example: question,expected,document")


def _json(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        for place, line in lines_of(path):
            yield place, object_of(json_of(line, place), place)
        return
    listed = json_of(text_of(path), Place(path))
    if not isinstance(listed, list):
        Place(path).refuse('a JSON list of questions is expected: [{"question": …, "expected": …}, …]')
    for number, value in enumerate(listed, 1):
        place = Place(path, entry=f"entry {number}")
        yield place, object_of(value, place)


def _turns(fields: dict[str, Any], place: Place) -> tuple[bool, tuple[str, ...]]:
    """Return whether the case is a search, and its turns."""
    given = [name for name in ("question", "turns", "search") if fields.get(name)]
    if len(given) != 1:
        place.refuse(f"exactly one of 'question', 'turns' and 'search' is needed; {len(given)} are given.")
    turns = strings(fields, given[0], place, MAX_TURNS, MAX_QUESTION_CHARS)
    if given[0] != "turns" and len(turns) != 1:
        place.refuse(f"the field {given[0]!r} must be one text. Use 'turns' for a conversation.")
    return given[0] == "search", turns


def _top_k(fields: dict[str, Any], place: Place) -> int | None:
    value = fields.get("top_k")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_TOP_K:
        place.refuse(f"the field 'top_k' must be a whole number from 1 to {MAX_TOP_K}.")
    return value


def _yes(fields: dict[str, Any], name: str, place: Place) -> bool:
    value = fields.get(name, False)
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in YES | NO:
        place.refuse(f"the field {name!r} is {text[:40]!r}; write yes or no.")
    return text in YES


def _check_name(name: str, place: Place) -> None:
    known = FIELDS | CASE_FIELDS
    if name not in known:
        near = difflib.get_close_matches(name, [*known, *ALIASES], 1)
        hint = f" Did you mean {near[0]!r}?" if near else f" Known are: {', '.join(sorted(known))}."
        place.refuse(f"the field {name[:60]!r} is not known.{hint}")
