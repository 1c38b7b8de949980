"""Rows of a table as units: which row is the header, and whether the table holds content at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from argosy.text.blocks import Block, Row
from argosy.text.markup import link_share, readable

MAX_ROWS_OF_NAVIGATION = 5
HEADER_WITHIN = 6
"""Number of first rows among which the real header is looked for when the first row is nearly empty."""
_TURNS_PAGES = re.compile(r"\b(?:Prev|Next|Previous)\b")
_UP = re.compile(r"\b(?:Up|Home)\b")
_DIGITS = re.compile(r"\d+")
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class ReadTable:
    """Header cells of a table in words, and its rows of data."""

    header: tuple[str, ...]
    rows: Sequence[Row]


def cells_of(text: str, row: Row) -> list[str]:
    """Return the readable texts of the cells of a row."""
    return [readable(text[start:end]) for start, end in row.cells]


def is_navigation(text: str, block: Block) -> bool:
    """Return whether a table only leads to other pages."""
    raw = text[block.start : block.end][:4_000]
    share = link_share(raw)
    turns = _TURNS_PAGES.search(raw) is not None and len(block.rows) <= MAX_ROWS_OF_NAVIGATION
    return share >= 0.75 or (turns and (share > 0.3 or _UP.search(raw) is not None))


def read_table(text: str, block: Block, before: tuple[str, ...]) -> ReadTable:
    """Return the header and the data of a table. `before` is the header of the table before it.

    A first row with at most one filled cell is a caption, so the first full row is the header. A first row that is
    shaped like the data continues the table before. A header that is repeated inside a table is not data.
    """
    header = tuple(cells_of(text, block.rows[0])) if block.rows else ()
    data = list(block.rows[1:])
    if len(header) > 1 and sum(bool(cell) for cell in header) <= 1:
        for place, row in enumerate(data[:HEADER_WITHIN]):
            cells = cells_of(text, row)
            if len(cells) > 1 and all(cells):
                header, data = tuple(cells), data[place + 1 :]
                break
    if data and len(header) > 1 and len(before) == len(header):
        first = cells_of(text, data[0])
        if (
            sum(_shape(a) == _shape(b) and _DIGITS.search(a) is not None for a, b in zip(header, first, strict=False))
            >= 2
        ):
            header, data = before, [block.rows[0], *data]
    rows = [row for row in data if tuple(cells_of(text, row)) != header and not _is_delimiter(text, row)]
    return ReadTable(header, rows)


def shown_row(header: Sequence[str], cells: Sequence[str]) -> str:
    """Return a row that can be read alone: `Column: value; …`."""
    if len(header) <= 1:
        return "; ".join(cell for cell in cells if cell)
    names = [*header, *[""] * len(cells)]
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=False) if cell)


def _is_delimiter(text: str, row: Row) -> bool:
    return not text[row.start : row.end].strip("|:- \t")


def _shape(cell: str) -> str:
    return _LETTERS.sub("a", _DIGITS.sub("0", cell))
