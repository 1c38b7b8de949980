"""Words of a Word document's XML: runs, paragraphs, tables, and the parts beside the body."""

from __future__ import annotations

from collections.abc import Iterable

from argosy.services.documents.parsing.grids import Budget, Cell, filled, joined_head, take_titles
from argosy.services.documents.parsing.office_xml import Element, W

_BREAKS = {W + "tab": " ", W + "br": " ", W + "cr": " ", W + "noBreakHyphen": "-", W + "t": None}


def paragraph(text: str, style: str = "") -> Element:
    """Return a paragraph with this text."""
    made = Element(W + "p")
    if style:
        properties = Element(W + "pPr")
        properties.append(Element(W + "pStyle", {W + "val": style}))
        made.append(properties)
    run, words = Element(W + "r"), Element(W + "t", {"{http://www.w3.org/XML/1998/namespace}space": "preserve"})
    words.text = text
    run.append(words)
    made.append(run)
    return made


def text_of(element: Element) -> str:
    """Return the words of an element, its paragraphs joined with spaces."""
    out: list[str] = []
    for one in element.iter():
        if one.tag == W + "p":
            out.append(" ")
        elif one.tag in _BREAKS:
            out.append(_BREAKS[one.tag] or one.text or "")
    return " ".join("".join(out).split())


def paragraphs_of(element: Element) -> list[str]:
    """Return the words of each paragraph that has any."""
    return [text for one in element.iter(W + "p") if (text := text_of(one))]


def simple_table(table: Element, budget: Budget) -> tuple[list[str], Element | None]:
    """Return a table's title lines, and the table without merged cells and with one header row.

    A table that only lays out, of one row or one column, has no table but None.
    """
    rows = [one for one in table if one.tag == W + "tr"]
    heads = [one.find(f"{W}trPr/{W}tblHeader") is not None for one in rows]
    grid = filled(_cells(rows, heads), budget)
    grid.rows = [row for row in grid.rows if any(row)] if not grid.spans else grid.rows
    if len(grid.rows) < 2 or len(grid.rows[0]) < 2:
        return [], None
    titles = take_titles(grid)
    return titles, _written(joined_head(grid), table)


def _cells(rows: Iterable[Element], heads: Iterable[bool]) -> list[list[Cell]]:
    """Return the cells with the rows and columns that they cover. A cell that continues one above is left out."""
    out: list[list[Cell]] = []
    above: dict[int, Cell] = {}
    for row, head in zip(rows, heads, strict=True):
        cells: list[Cell] = []
        column = _number(row.find(f"{W}trPr/{W}gridBefore"), 0)
        cells += [Cell("")] * column
        begun: dict[int, Cell] = {}
        for cell in (one for one in row if one.tag == W + "tc"):
            span = _number(cell.find(f"{W}tcPr/{W}gridSpan"), 1)
            merge = cell.find(f"{W}tcPr/{W}vMerge")
            if merge is not None and merge.get(W + "val") != "restart" and column in above:
                above[column].down += 1
                begun[column] = above[column]
            else:
                made = Cell(text_of(cell), 1, span, head)
                cells.append(made)
                if merge is not None:
                    begun[column] = made
            column += span
        above = begun
        out.append(cells)
    return out


def _number(element: Element | None, default: int) -> int:
    value = element.get(W + "val") if element is not None else None
    return min(int(value), 1000) if value and value.isascii() and value.isdecimal() and len(value) < 5 else default


def _written(rows: list[list[str]], like: Element) -> Element:
    table = Element(W + "tbl")
    table.extend(one for one in like if one.tag == W + "tblPr")
    for row in rows:
        line = Element(W + "tr")
        for text in row:
            cell = Element(W + "tc")
            cell.append(paragraph(text))
            line.append(cell)
        table.append(line)
    return table
