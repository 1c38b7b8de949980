"""Tables that continue on the next page: a part without column names gets those of the part before it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from argosy.services.documents.parsing.grids import head_shape
from argosy.services.documents.parsing.parsed import PageSpan, ParsedDocument

_RULE = re.compile(r"\|(?:[ \t]*+:?-++:?[ \t]*+\|)++")
_PAGE_NUMBER = re.compile(
    r"[-–—\s]*(?:page|seite|p\.|s\.|página|pagina)?\s*\d{1,5}(?:\s*(?:/|of|von|de)\s*\d{1,5})?[-–—\s]*", re.I
)
_CELL = re.compile(r"(?<!\\)\|")
_SAMPLE_ROWS = 50


def with_continued_headers(parsed: ParsedDocument) -> ParsedDocument:
    """Insert the header of a table at the top of a page when it ends the page before and the part has none."""
    inserts: list[tuple[int, str]] = []
    header: list[str] = []
    """The two lines of the header of the table that ended the page before."""
    for page in parsed.pages:
        lines = _lines(parsed.text, page)
        top = _first(lines)
        body = lines[top + 2 : top + 2 + _SAMPLE_ROWS] if top >= 0 else []
        continued = bool(header) and top >= 0 and _continues(header[0], lines[top][1], [line for _, line in body])
        if continued:
            # The delimiter row moves above the page's first row, which becomes an ordinary one.
            inserts.append((lines[top][0], f"{header[0]}\n{header[1]}\n"))
            inserts.append((lines[top + 1][0], ""))
        own = _last_header(lines)
        if own is not None:
            header = header if continued and own == top else [lines[own][1], lines[own + 1][1]]
        elif any(line.strip() for _, line in lines):
            header = []
    return _edited(parsed, inserts) if inserts else parsed


def _lines(text: str, page: PageSpan) -> list[tuple[int, str]]:
    """Return the lines of a page with their offsets."""
    found, at = [], page.start
    for line in text[page.start : page.end].split("\n"):
        found.append((at, line))
        at += len(line) + 1
    return found


def _is_head(lines: Sequence[tuple[int, str]], at: int) -> bool:
    return (
        at + 1 < len(lines) and lines[at][1].startswith("|") and _RULE.fullmatch(lines[at + 1][1].strip()) is not None
    )


def _first(lines: Sequence[tuple[int, str]]) -> int:
    """Return the line at which a table begins the page, not counting page numbers; -1 without one."""
    for at, (_, line) in enumerate(lines[:10]):
        if line.strip() and not _PAGE_NUMBER.fullmatch(line[:60]):
            return at if _is_head(lines, at) else -1
    return -1


def _last_header(lines: Sequence[tuple[int, str]]) -> int | None:
    """Return the line of the header of the table that ends the page, not counting page numbers; None without one."""
    at = len(lines) - 1
    while at >= 0 and (
        not lines[at][1].strip() or (not lines[at][1].startswith("|") and _PAGE_NUMBER.fullmatch(lines[at][1][:60]))
    ):
        at -= 1
    if at < 0 or not lines[at][1].startswith("|"):
        return None
    while at > 0 and lines[at - 1][1].startswith("|"):
        at -= 1
    return at if _is_head(lines, at) else None


def _continues(header: str, first: str, body: Sequence[str]) -> bool:
    """Return whether the first row of a part is a row of the table before it rather than a header."""
    names, cells = _cells(header), _cells(first)
    if len(names) != len(cells) or names == cells or any(text.startswith("**") for text in cells if text):
        return False
    return head_shape(cells, [_cells(line) for line in body if line.startswith("|")]) != "names"


def _cells(row: str) -> list[str]:
    return [text.strip() for text in _CELL.split(row.strip().strip("|"))]


def _edited(parsed: ParsedDocument, inserts: Sequence[tuple[int, str]]) -> ParsedDocument:
    """Apply the inserts; an empty one removes the line at its offset. Pages keep their texts."""
    text, out, at = parsed.text, [], 0
    places: list[int] = []
    shifts = [0]
    for place, words in inserts:
        end = place if words else text.find("\n", place) + 1 or len(text)
        out += [text[at:place], words]
        at = end
        places.append(place)
        shifts.append(shifts[-1] + len(words) - (end - place))
    out.append(text[at:])
    pages = [
        PageSpan(
            page.page,
            page.start + shifts[bisect_right(places, page.start - 1)],
            page.end + shifts[bisect_right(places, page.end - 1)],
        )
        for page in parsed.pages
    ]
    return msgspec.structs.replace(parsed, text="".join(out), pages=pages)
