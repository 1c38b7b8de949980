"""Streaming reader of one worksheet's XML: its cells as texts, merged ranges, and hidden rows and columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from xml.etree import ElementTree

from argosy.services.documents.parsing.grids import MAX_COLUMNS
from argosy.services.documents.parsing.number_formats import shown
from argosy.services.documents.parsing.office_xml import UnreadablePart
from argosy.services.documents.parsing.progress import progress
from argosy.services.documents.parsing.scripts import subscript, superscript

MAX_CELLS = 5_000_000
MAX_MERGES = 50_000
_PROGRESS_ROWS = 2_000
_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})")
_READ_BYTES = 1 << 16


@dataclass(slots=True)
class Book:
    """Parts of a workbook that its cells refer to: shared texts, and the number format of each style."""

    texts: Sequence[str] = ()
    formats: Sequence[str | None] = ()
    since_1904: bool = False


@dataclass(slots=True)
class Sheet:
    """The visible cells of a worksheet: by row, then by column, both counted from 0."""

    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)
    """First row, first column, last row and last column of each merged range."""
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: int = 0
    unsolved: int = 0
    """Number of formulas without a stored value."""
    cut_columns: bool = False


class _Strict(ElementTree.TreeBuilder):
    """Base of the streaming readers: refuses document types, which office files do not have."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise UnreadablePart("the part declares a document type")

    def close(self) -> Any:
        return None


_Reader = TypeVar("_Reader", bound=_Strict)


class _Texts(_Strict):
    """Reader of rich texts: joins the runs of each, without readings (phonetic runs)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._parts: list[str] = []
        self._inside = self._reading = False
        self._align = ""
        self._chars: list[str] = []

    def start(self, tag: str, attrs: dict[str, str]) -> Any:
        name = tag.rpartition("}")[2]
        if name == "si":
            self._parts = []
        elif name == "rPh":
            self._reading = True
        elif name == "r":
            self._align = ""
        elif name == "vertAlign":
            self._align = attrs.get("val", "")
        elif name == "t":
            self._inside, self._chars = not self._reading, []

    def data(self, data: str) -> None:
        if self._inside:
            self._chars.append(data)

    def end(self, tag: str) -> Any:
        name = tag.rpartition("}")[2]
        if name == "t" and self._inside:
            self._parts.append(scripted("".join(self._chars), self._align))
            self._inside = False
        elif name == "rPh":
            self._reading = False
        elif name == "r":
            self._align = ""
        elif name == "si":
            self.found.append("".join(self._parts))


def scripted(text: str, align: str) -> str:
    """Return the text of a run that is raised, lowered or neither."""
    if align == "superscript":
        return superscript(text)
    return subscript(text) if align == "subscript" else text


class _Cells(_Strict):
    def __init__(self, book: Book) -> None:
        super().__init__()
        self.sheet = Sheet()
        self._book = book
        self._hidden_columns: list[tuple[int, int]] = []
        self._row = self._column = -1
        self._row_hidden = False
        self._style = 0
        self._kind = ""
        self._value: list[str] = []
        self._texts: list[str] = []
        self._align = ""
        self._inside = ""
        self._formula = False
        self._cells = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Any:
        name = tag.rpartition("}")[2]
        if name == "c":
            place = _place(attrs.get("r", ""))
            self._column = place[1] if place is not None else self._column + 1
            style = attrs.get("s", "0")
            self._style = int(style) if style.isdecimal() and len(style) < 7 else 0
            self._kind, self._value, self._texts, self._formula = attrs.get("t", "n"), [], [], False
        elif name in ("v", "t"):
            self._inside = name
        elif name == "f":
            self._formula = True
        elif name == "vertAlign":
            self._align = attrs.get("val", "")
        elif name == "row":
            number = attrs.get("r", "")
            self._row = int(number) - 1 if number.isdecimal() and 0 < len(number) < 8 else self._row + 1
            self._column = -1
            self._row_hidden = attrs.get("hidden") in ("1", "true")
            if self._row_hidden:
                self.sheet.hidden_rows.add(self._row)
            if self._row % _PROGRESS_ROWS == 0:
                progress.step()
        elif name == "col" and attrs.get("hidden") in ("1", "true"):
            first, last = (int(attrs.get(key, "0")) for key in ("min", "max"))
            self._hidden_columns.append((first - 1, last - 1))
        elif name == "mergeCell" and len(self.sheet.merges) < MAX_MERGES:
            corners = [_place(corner) for corner in attrs.get("ref", "").partition(":")[::2]]
            if corners[0] is not None and corners[1] is not None:
                self.sheet.merges.append((*corners[0], *corners[1]))

    def data(self, data: str) -> None:
        if self._inside:
            self._value.append(data)

    def end(self, tag: str) -> Any:
        name = tag.rpartition("}")[2]
        if name == "c":
            self._finish()
        elif name == "t" and self._inside:
            self._texts.append(scripted("".join(self._value), self._align))
            self._value, self._inside = [], ""
        elif name == "v":
            self._inside = ""
        elif name == "r":
            self._align = ""

    def _finish(self) -> None:
        if self._row_hidden or self._column < 0 or self._row < 0:
            return
        value = "".join(self._value)
        text = "".join(self._texts) if self._kind == "inlineStr" else self._shown(value)
        if self._formula and not value and not text:
            self.sheet.unsolved += 1
        if not text.strip():
            return
        if self._column >= MAX_COLUMNS:
            self.sheet.cut_columns = True
            return
        if any(first <= self._column <= last for first, last in self._hidden_columns[:100]):
            self.sheet.hidden_columns = len(self._hidden_columns)
            return
        self._cells += 1
        if self._cells > MAX_CELLS:
            raise UnreadablePart("the sheet has too many cells")
        self.sheet.rows.setdefault(self._row, {})[self._column] = text

    def _shown(self, value: str) -> str:
        if self._kind == "s":
            texts = self._book.texts
            return texts[int(value)] if value.isdecimal() and len(value) < 10 and int(value) < len(texts) else ""
        if self._kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value, value)
        if self._kind in ("str", "e", "d"):
            return value
        try:
            number = float(value)
        except ValueError:
            return value
        formats = self._book.formats
        code = formats[self._style] if self._style < len(formats) else None
        if abs(number) > 1e300 or number != number:
            return value
        return shown(number, code, since_1904=self._book.since_1904)


def read_texts(source: Callable[[int], bytes]) -> list[str]:
    """Return the shared texts of a workbook. `source` reads so many bytes of their part.

    Raises: UnreadablePart when the part is damaged or declares a document type.
    """
    return _fed(_Texts(), source).found


def read_sheet(source: Callable[[int], bytes], book: Book) -> Sheet:
    """Return a worksheet. `source` reads so many bytes of its part.

    Raises: UnreadablePart when the part is damaged, declares a document type, or has more than MAX_CELLS cells.
    """
    return _fed(_Cells(book), source).sheet


def _fed(reader: _Reader, source: Callable[[int], bytes]) -> _Reader:
    parser = ElementTree.XMLParser(target=reader)
    try:
        while data := source(_READ_BYTES):
            parser.feed(data)
        parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UnreadablePart("the part is not XML") from error
    return reader


def _place(reference: str) -> tuple[int, int] | None:
    """Return row and column, from 0, of a reference such as B7."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        return None
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - 64
    return int(found[2]) - 1, column - 1
