"""Reader of CSV and TSV files: finds the delimiter and the header, and writes a Markdown table."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from argosy.contracts.errors import OversizedDocument, UnreadableDocument
from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.grids import MAX_COLUMNS, has_figures, markdown_table
from argosy.services.documents.parsing.parsed import ParsedDocument

_DELIMITERS = ",;\t|"
_STATED = re.compile(r"\A\"?sep=(.|\\t)\"?[ \t]*(?:\n|\Z)", re.IGNORECASE)
"""The first line by which Excel states the delimiter."""
_SAMPLE_LINES = 200
_SAMPLE_CHARS = 200_000
_MOST_TITLES = 20
"""Lines above the header that may be titles of the table."""
_CELL_CHARS = 10_000_000


def read_csv(text: str, name: str) -> ParsedDocument:
    """Read a table. Lines above its header become text above the table; empty rows are left out.

    Raises: OversizedDocument when it has more than MAX_COLUMNS columns; UnreadableDocument when it is no table.
    """
    stated = _STATED.match(text)
    body = text[stated.end() :] if stated else text
    delimiter = stated.group(1).replace("\\t", "\t") if stated else _delimiter(body)
    rows = list(_rows(body, delimiter, name))
    if not rows:
        return ParsedDocument("", Format.CSV)
    titles, table = _split(rows)
    joint = f"{delimiter} " if delimiter in ",;" else "  "
    parts = [joint.join(cell.strip() for cell in row if cell.strip()) for row in titles]
    parts.append(_table(table))
    return ParsedDocument("\n\n".join(part for part in parts if part), Format.CSV)


def _rows(text: str, delimiter: str, name: str) -> Iterator[list[str]]:
    """Yield the rows that hold anything. A quotation mark without an end counts as a character."""
    csv.field_size_limit(_CELL_CHARS)
    quoted = _quotes_end(text, delimiter)
    try:
        for row in csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter,
            quotechar='"' if quoted else None,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        ):
            if len(row) > MAX_COLUMNS:
                raise OversizedDocument(f"{name} has more than {MAX_COLUMNS} columns, the limit. Split it.")
            if any(cell and not cell.isspace() for cell in row):
                yield row
    except csv.Error as error:
        raise UnreadableDocument(f"{name} is damaged: it cannot be read as a CSV table.") from error


def _quotes_end(text: str, delimiter: str) -> bool:
    """Return whether the table's quotation marks pair up; otherwise one would swallow the rest of the file."""
    if text.count('"') % 2 == 0:
        return True
    return f'"{delimiter}' in text and f'{delimiter}"' in text and text.rstrip().endswith('"')


def _delimiter(text: str) -> str:
    """Return the delimiter with which most lines at the beginning get the same number of columns, above one."""
    sample = text[:_SAMPLE_CHARS]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        try:
            widths = Counter(
                len(row)
                for row in islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), _SAMPLE_LINES)
                if row
            )
        except csv.Error:
            continue
        total = sum(widths.values())
        width, lines = max(widths.items(), key=lambda item: (item[0] > 1, item[1]), default=(1, 0))
        score = lines / total + width / 10_000 if width > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _split(rows: Sequence[list[str]]) -> tuple[Sequence[list[str]], Sequence[list[str]]]:
    """Return the title lines and the table, which begins with its header.

    The header is the first of the leading rows that fills as many cells as the rows of the table usually do.
    """
    head = rows[: _MOST_TITLES + _SAMPLE_LINES]
    filled = [sum(1 for cell in row if cell.strip()) for row in head]
    usual = _most_common(filled[1:] or filled)
    width = _most_common([_width(row) for row in head[1:] or head])
    if usual < 2:
        return [], rows
    for at, count in enumerate(filled[: _MOST_TITLES + 1]):
        if count > 1 and (count >= usual - usual // 4 or _width(rows[at]) >= width):
            return (rows[:at], rows[at:]) if at + 1 < len(rows) and not has_figures(rows[at][:1]) else ([], rows)
    return [], rows


def _most_common(numbers: Sequence[int]) -> int:
    """Return the most frequent number, the largest of several."""
    return max(Counter(numbers).items(), key=lambda item: (item[1], item[0]))[0]


def _width(row: Sequence[str]) -> int:
    """Return the number of columns up to the last filled one."""
    return max((at + 1 for at, cell in enumerate(row) if cell.strip()), default=0)


def _table(rows: Sequence[list[str]]) -> str:
    width = max(len(row) for row in rows)
    last = max((at for row in rows for at, cell in enumerate(row) if cell.strip()), default=width - 1) + 1
    return markdown_table([(row + [""] * (last - len(row)))[:last] for row in rows])
