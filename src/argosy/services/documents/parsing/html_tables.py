"""Rewriting of HTML tables: merged cells are filled, header rows joined, and tables that only lay out are dissolved."""

from __future__ import annotations

import re
from collections.abc import Sequence

from argosy.services.documents.parsing.grids import Budget, Cell, Grid, filled, joined_head, take_titles
from argosy.services.documents.parsing.html_text import attributes

_CELL_TAGS = frozenset({"td", "th"})
_BLOCKS = re.compile(r"<(?:h[1-6]|pre|ul|ol|dl|table|blockquote)\b", re.IGNORECASE)
_PARAGRAPH = re.compile(r"<p\b[^>]*+>(.*?)</p>", re.IGNORECASE | re.DOTALL)
_BOLD = re.compile(r"</?(?:b|strong)\b[^>]*+>", re.IGNORECASE)
_MARKUP = re.compile(r"<[^>]*+>")
_BRACKETED = re.compile(r"\s*\[\w+\]\s*")


def rewritten(parts: Sequence[tuple[str, str]], budget: Budget) -> str:
    """Return the markup of a table without merged cells.

    `parts` are the pieces between the table's tags, each the name of its tag ("/td" closes, "" is text) and its markup.
    """
    caption, rows = _rows(parts)
    grid = filled(rows, budget)
    _drop_empty(grid)
    if not grid.rows:
        return f"<p>{caption}</p>" if caption.strip() else ""
    if len(grid.rows[0]) == 1 or _lays_out(grid):
        return f"<p>{caption}</p>" * bool(caption.strip()) + "".join(_dissolved(row) for row in grid.rows)
    titles = [caption] * bool(caption.strip()) + take_titles(grid)
    head, *body = joined_head(grid)
    out = [f"<p>{title}</p>" for title in titles]
    out.append(
        "<table><thead><tr>" + "".join(f"<th>{_plain_head(text)}</th>" for text in head) + "</tr></thead><tbody>"
    )
    for row in body:
        out.append("<tr>" + "".join(f"<td>{text}</td>" for text in row) + "</tr>")
    out.append("</tbody></table>")
    return "".join(out)


def _rows(parts: Sequence[tuple[str, str]]) -> tuple[str, list[list[Cell]]]:
    """Return the caption, and the cells of each row. Text outside of cells counts as caption."""
    caption: list[str] = []
    rows: list[list[Cell]] = []
    inside: list[str] | None = None
    head_group = False
    for tag, markup in parts:
        name = tag.lstrip("/")
        if name in _CELL_TAGS or name in ("tr", "thead", "tbody", "tfoot"):
            if inside is not None:
                rows[-1][-1].text = "".join(inside).strip()
                inside = None
            if tag == "tr":
                rows.append([])
            elif tag in ("thead", "tbody", "tfoot"):
                head_group = tag == "thead"
            elif tag in _CELL_TAGS:
                if not rows:
                    rows.append([])
                about = attributes(markup) if "span" in markup.lower() else {}
                down, right = (_number(about.get(key)) for key in ("rowspan", "colspan"))
                rows[-1].append(Cell("", down, right, head_group or tag == "th"))
                inside = []
        elif name in ("caption", "colgroup", "col"):
            continue
        else:
            (caption if inside is None else inside).append(markup)
    if inside is not None:
        rows[-1][-1].text = "".join(inside).strip()
    return "".join(caption).strip(), [row for row in rows if row]


def _number(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdecimal() and len(value) < 6 else 1


def _drop_empty(grid: Grid) -> None:
    """Remove rows and columns without a word. A column of icons such as "[Note]" holds no word."""
    kept = [number for number, row in enumerate(grid.rows) if any(_words(text) for text in row)]
    if len(kept) < len(grid.rows):
        places = {number: at for at, number in enumerate(kept)}
        grid.rows = [grid.rows[number] for number in kept]
        grid.heads = [grid.heads[number] for number in kept]
        grid.spans = [(places[row], column, down, right) for row, column, down, right in grid.spans if row in places]
    if not grid.rows:
        return
    wanted = [any(_words(row[column]) for row in grid.rows) for column in range(len(grid.rows[0]))]
    if not all(wanted):
        grid.rows = [[text for text, keep in zip(row, wanted, strict=True) if keep] for row in grid.rows]


def _words(text: str) -> bool:
    bare = _MARKUP.sub("", text) if "<" in text else text
    return bool(bare.strip()) and _BRACKETED.fullmatch(bare) is None


def _lays_out(grid: Grid) -> bool:
    """Return whether a table only arranges blocks on the page: one row, or blocks in cells and no header row."""
    blocks = sum(1 for row in grid.rows for text in row if _BLOCKS.search(text))
    return len(grid.rows) == 1 or (blocks > 0 and not (grid.heads and grid.heads[0]))


def _dissolved(row: Sequence[str]) -> str:
    """Return the cells as blocks. In a cell of several paragraphs the first one names what the others describe."""
    out = []
    for text in row:
        first = _PARAGRAPH.match(text)
        if len(row) == 1 and first is not None and text[first.end() :].strip() and _words(first[1]):
            out.append(f"<p><b>{_BOLD.sub('', first[1])}</b></p>{text[first.end() :]}")
        else:
            out.append(f"<div>{text}</div>")
    return "".join(out)


def _plain_head(text: str) -> str:
    """Return a header cell without bold type and paragraphs, which would be markup inside of the column's name."""
    return " ".join(re.sub(r"</?(?:b|strong|p|div|br|tt)\b[^>]*+>", " ", text, flags=re.IGNORECASE).split())
