"""Tables as grids of cells: merged cells are filled, and several header rows become one.

A grid is a list of rows of equal length. Readers of HTML, office files and spreadsheets share it, so that a table reads
the same whichever file it came from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

MAX_COLUMNS = 2_000
MAX_FILLED_CHARS = 1_000_000
"""Characters that the copies of merged cells may add to a document's tables; further copies stay empty."""
MAX_HEAD_ROWS = 4
JOINT = " / "
_DIGIT = re.compile(r"\d")
_FIGURE = re.compile(
    r"[\s(]*[-+−<>≤≥~≈±]?\s*[$€£¥₹]?\s*\d[\d.,:/' \u00a0\u202f-]*\s*(?:[%‰€$£¥°]|[A-Za-zµ²³/]{1,6})?[)\s]*"
)
"""A cell that holds a figure: "1,234.50", "12 %", "2026-03-14", "7 m"."""


@dataclass(slots=True)
class Cell:
    """A cell as its source has it: `down` and `right` are the numbers of rows and columns that it covers."""

    text: str
    down: int = 1
    right: int = 1
    head: bool = False
    """Whether the source marks the cell as a header cell."""


@dataclass(slots=True)
class Grid:
    """A table after filling. `spans` are the merged cells: first row, first column, rows, columns."""

    rows: list[list[str]]
    heads: list[bool] = field(default_factory=list)
    """Whether the source marks every filled cell of the row as a header cell."""
    spans: list[tuple[int, int, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Budget:
    """Characters that copies of merged cells may still add."""

    chars: int = MAX_FILLED_CHARS


def filled(rows: Sequence[Sequence[Cell]], budget: Budget) -> Grid:
    """Lay out rows of cells and repeat each merged cell in all the places that it covers.

    A cell over the whole width stands once: it is a title or the name of a group of rows.
    """
    width = min(MAX_COLUMNS, max((sum(min(cell.right, MAX_COLUMNS) for cell in row) for row in rows), default=0))
    grid = Grid([], [])
    open_cells: dict[int, tuple[str, int, bool]] = {}
    for number, row in enumerate(rows):
        out: list[str] = []
        marks: list[bool] = []
        pending = iter(row)
        opened: dict[int, tuple[str, int, bool]] = {}
        while len(out) < MAX_COLUMNS:
            column = len(out)
            if column in open_cells:
                text, left, mark = open_cells[column]
                out.append(_copy(text, budget))
                marks.append(mark)
                if left > 1:
                    opened[column] = (text, left - 1, mark)
                continue
            cell = next(pending, None)
            if cell is None:
                if not any(place >= column for place in open_cells):
                    break
                out.append("")
                marks.append(True)
                continue
            right = max(1, min(cell.right, MAX_COLUMNS - column))
            down = max(1, min(cell.down, len(rows) - number))
            whole = right >= width > 1
            if right > 1 or down > 1:
                grid.spans.append((number, column, down, right))
            for offset in range(right):
                out.append(cell.text if offset == 0 else "" if whole else _copy(cell.text, budget))
                marks.append(cell.head or not cell.text.strip())
                if down > 1:
                    opened[column + offset] = (cell.text if offset == 0 or not whole else "", down - 1, cell.head)
        open_cells = opened
        grid.rows.append(out)
        grid.heads.append(all(marks) and any(text.strip() for text in out))
    width = max((len(row) for row in grid.rows), default=0)
    for row_cells in grid.rows:
        row_cells += [""] * (width - len(row_cells))
    return grid


def _copy(text: str, budget: Budget) -> str:
    if len(text) > budget.chars:
        return ""
    budget.chars -= len(text)
    return text


def take_titles(grid: Grid) -> list[str]:
    """Remove the rows above the header that hold one text only, and return these texts."""
    titles: list[str] = []
    while len(grid.rows) > 1 and len(grid.rows[0]) > 1:
        said = [text for text in grid.rows[0] if text.strip()]
        below = next((row for row in grid.rows[1:] if any(text.strip() for text in row)), [])
        if len(set(said)) > 1 or (said and sum(1 for text in below if text.strip()) < 2 and len(grid.rows) < 3):
            break
        if said and grid.rows[0][0].strip() == "":
            break
        titles += said[:1]
        grid.rows.pop(0)
        grid.heads[:1] = []
        grid.spans = [(row - 1, column, down, right) for row, column, down, right in grid.spans if row > 0]
    return titles


def head_rows(grid: Grid) -> int:
    """Return how many rows make up the header: by the marks of the source, else by the merged cells at the top."""
    marked = 0
    while marked < min(MAX_HEAD_ROWS, len(grid.rows) - 1) and marked < len(grid.heads) and grid.heads[marked]:
        marked += 1
    if marked > 1:
        return marked
    depth = 1
    for row, _, down, right in sorted(grid.spans):
        if row >= depth or depth >= MAX_HEAD_ROWS:
            break
        if down > 1:
            depth = max(depth, min(row + down, MAX_HEAD_ROWS))
        elif right > 1 and row + 1 < len(grid.rows) and row + 2 > depth and not has_figures(grid.rows[row + 1]):
            depth = row + 2
    if depth >= len(grid.rows) or any(has_figures(row) for row in grid.rows[1:depth]):
        return 1
    return depth


def joined_head(grid: Grid) -> list[list[str]]:
    """Return the rows with the header rows joined to one: "Zone / June"."""
    depth = head_rows(grid)
    if depth < 2:
        return grid.rows
    head = []
    for column in range(len(grid.rows[0])):
        said: list[str] = []
        for row in grid.rows[:depth]:
            if (text := row[column].strip()) and text not in said:
                said.append(text)
        head.append(JOINT.join(said))
    return [head, *grid.rows[depth:]]


def has_figures(row: Sequence[str]) -> bool:
    """Return whether a cell of the row holds a figure other than a year."""
    return any(is_figure(text) and not is_year(text) for text in row)


def is_figure(text: str) -> bool:
    """Return whether a cell holds a number, an amount, a date or a measure."""
    return len(text) <= 40 and _FIGURE.fullmatch(text) is not None


def is_year(text: str) -> bool:
    """Return whether a cell holds a year, which may also name a column."""
    words = text.strip()
    return len(words) == 4 and words.isdecimal() and words[:2] in ("19", "20")


def head_shape(head: Sequence[str], body: Sequence[Sequence[str]]) -> Literal["data", "names", "unknown"]:
    """Return whether the row `head` is shaped like the rows below it or names their columns.

    A column tells when all its cells hold digits: a name of such a column would hold none. Without a telling column,
    the answer is unknown.
    """
    telling = False
    for column, name in enumerate(head):
        cells = [row[column] for row in body[:50] if column < len(row) and row[column].strip()]
        if not cells or not all(_DIGIT.search(text) for text in cells):
            continue
        telling = True
        if is_year(name) or not _DIGIT.search(name):
            return "names"
    return "data" if telling else "unknown"


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as a Markdown table; the first row is its header."""
    lines = ["| " + " | ".join(_written(text) for text in row) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("---" for _ in rows[0]) + " |")
    return "\n".join(lines)


def _written(text: str) -> str:
    words = " ".join(text.split())
    return words.replace("|", "\\|") if "|" in words else words
