"""Reader of Excel workbooks: each visible sheet becomes a heading and its tables, with values as Excel shows them.

This module runs in the parser child. xberg reads workbooks that this reader cannot, but then without number formats and
merged cells.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.grids import (
    Budget,
    Grid,
    head_shape,
    joined_head,
    markdown_table,
    take_titles,
)
from argosy.services.documents.parsing.number_formats import BUILT_IN
from argosy.services.documents.parsing.office_xml import Element, Package, S, UnreadablePart
from argosy.services.documents.parsing.parsed import ParsedDocument, Properties
from argosy.services.documents.parsing.sheet_xml import Book, Sheet, read_sheet, read_texts
from argosy.services.documents.parsing.xberg_reader import given

MAX_BLANK_SHARE = 20
"""Empty places for each filled one above which cells are written as lines rather than as a table."""
_FREE_PLACES = 100_000
_DC = "{http://purl.org/dc/elements/1.1/}"
_TERMS = "{http://purl.org/dc/terms/}"


def read_xlsx(data: bytes) -> ParsedDocument:
    """Read a workbook. Hidden sheets, rows and columns are left out and named.

    Raises: UnreadablePart when the workbook is damaged, declares document types, or is too large.
    """
    package = Package(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(package, archive)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, KeyError, RecursionError) as error:
        raise UnreadablePart("the container is broken") from error


def _read(package: Package, archive: zipfile.ZipFile) -> ParsedDocument:
    main = next((name for kind, name in package.targets("").values() if kind == "officeDocument"), "xl/workbook.xml")
    root, targets = package.tree(main), package.targets(main)
    about = root.find(S + "workbookPr")
    book = Book(
        texts=_texts(archive, targets),
        formats=_formats(package, targets),
        since_1904=about is not None and about.get("date1904") in ("1", "true"),
    )
    parts, left_out = [], []
    for one in root.iter(S + "sheet"):
        title = " ".join((one.get("name") or "").split())
        key = next((value for name, value in one.items() if name.endswith("}id")), "")
        kind, name = targets.get(key, ("", ""))
        if kind != "worksheet" or name not in package.names:
            continue
        if one.get("state", "visible") != "visible":
            left_out.append(f"The sheet {title} is hidden and was left out.")
            continue
        with archive.open(name) as source:
            sheet = read_sheet(source.read, book)
        left_out += _left_out(title, sheet)
        if any(of == "comments" for of, _ in package.targets(name).values()):
            left_out.append(f"Comments on cells of the sheet {title} were left out.")
        tables = list(_tables(sheet))
        if tables:
            parts += [f"## {title}", *tables]
    said, title_said = _about(package)
    return ParsedDocument("\n\n".join(parts), Format.XLSX, title_said, properties=said, left_out=left_out)


def _texts(archive: zipfile.ZipFile, targets: dict[str, tuple[str, str]]) -> list[str]:
    name = next((name for kind, name in targets.values() if kind == "sharedStrings"), None)
    if name is None:
        return []
    with archive.open(name) as source:
        return read_texts(source.read)


def _formats(package: Package, targets: dict[str, tuple[str, str]]) -> list[str | None]:
    """Return the number format of each cell style."""
    name = next((name for kind, name in targets.values() if kind == "styles"), None)
    if name is None:
        return []
    root = package.tree(name)
    own = {one.get("numFmtId"): one.get("formatCode") for one in root.iter(S + "numFmt")}
    styles = root.find(S + "cellXfs")
    ids = [one.get("numFmtId") or "0" for one in styles] if styles is not None else []
    return [own.get(number) or (BUILT_IN.get(int(number)) if number.isdecimal() else None) for number in ids]


def _left_out(title: str, sheet: Sheet) -> Iterator[str]:
    if sheet.hidden_rows or sheet.hidden_columns:
        yield f"Hidden rows or columns of the sheet {title} were left out."
    if sheet.cut_columns:
        yield f"The columns of the sheet {title} above the limit were left out."
    if sheet.unsolved:
        count = f"{sheet.unsolved} formula{'s' if sheet.unsolved > 1 else ''}"
        yield f"{count} of the sheet {title} without a stored value: open and save the workbook in Excel to add it."


def _tables(sheet: Sheet) -> Iterator[str]:
    """Yield the tables of a sheet and the lines of text between them."""
    budget = Budget()
    before: list[list[str]] = []
    sheet.merges.sort()
    for block in _blocks(sheet):
        grid = _grid(sheet, block, budget)
        if grid is None:
            yield "\n".join("  ".join(sheet.rows[row][column] for column in sorted(sheet.rows[row])) for row in block)
            continue
        titles = take_titles(grid)
        yield from titles
        if (
            before
            and len(before[0]) == len(grid.rows[0])
            and head_shape(grid.rows[0], grid.rows[1:] or before[1:]) == "data"
        ):
            yield markdown_table([before[0], *grid.rows])
            continue
        if len(grid.rows) == 1:
            yield "  ".join(text for text in grid.rows[0] if text)
            continue
        rows = joined_head(grid)
        before = rows if len(rows) > 1 else []
        yield markdown_table(rows)


def _blocks(sheet: Sheet) -> Iterator[list[int]]:
    """Yield the rows between blank ones. A hidden row, or one that a merged range reaches into, is not blank."""
    bridged = {row for first, _, last, _ in sheet.merges[:1000] for row in range(first, min(last, first + 1000) + 1)}
    bridged |= sheet.hidden_rows
    block: list[int] = []
    for row in sorted(sheet.rows):
        if block and row > block[-1] + 1 and not all(between in bridged for between in range(block[-1] + 1, row)):
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def _grid(sheet: Sheet, block: Sequence[int], budget: Budget) -> Grid | None:
    """Return a block of rows without its blank columns; None when its cells are too scattered for a table."""
    columns = sorted({column for row in block for column in sheet.rows[row]})
    filled = sum(len(sheet.rows[row]) for row in block)
    if len(block) * len(columns) > MAX_BLANK_SHARE * filled + _FREE_PLACES:
        return None
    place = {column: at for at, column in enumerate(columns)}
    lines = {row: at for at, row in enumerate(block)}
    grid = Grid([[sheet.rows[row].get(column, "") for column in columns] for row in block])
    for area in sheet.merges[bisect_left(sheet.merges, (block[0],)) : bisect_left(sheet.merges, (block[-1] + 1,))]:
        if area[0] in lines and area[1] in place:
            _fill(grid, lines, place, area, budget)
    return grid


def _fill(
    grid: Grid, lines: dict[int, int], place: dict[int, int], area: tuple[int, int, int, int], budget: Budget
) -> None:
    """Repeat the text of a merged range in its places. A range over the whole width keeps it in its first place."""
    top, left = lines[area[0]], place[area[1]]
    text = grid.rows[top][left]
    down = right = 1
    while top + down < len(grid.rows) and lines.get(area[0] + down) == top + down and area[0] + down <= area[2]:
        down += 1
    while (
        left + right < len(grid.rows[0]) and area[1] + right <= area[3] and place.get(area[1] + right) == left + right
    ):
        right += 1
    budget.chars -= down + right
    if right == len(grid.rows[0]) > 1 or budget.chars < 0:
        return
    grid.spans.append((top, left, down, right))
    for row in range(top, top + down):
        for column in range(left, left + right):
            if (row, column) != (top, left):
                if len(text) + 1 > budget.chars:
                    return
                budget.chars -= len(text) + 1
                grid.rows[row][column] = text


def _about(package: Package) -> tuple[Properties, str | None]:
    try:
        root = package.tree(
            next((name for kind, name in package.targets("").values() if kind == "core-properties"), "")
        )
    except UnreadablePart:
        return Properties(), None
    said = Properties(
        author=_said(root, _DC + "creator"),
        created=_said(root, _TERMS + "created"),
        modified=_said(root, _TERMS + "modified"),
    )
    return said, _said(root, _DC + "title")


def _said(root: Element, tag: str) -> str | None:
    return given(root.findtext(tag))
