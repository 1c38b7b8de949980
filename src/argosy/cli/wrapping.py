"""Line breaks on a terminal: between words and between wide characters, never inside a word that fits on a line."""

from __future__ import annotations

import re
import shutil
import unicodedata
from dataclasses import dataclass, field
from typing import TextIO

LEAST_COLUMNS = 20
_PIECE = re.compile(r"\n|[^\S\n]+|[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uff60]|"
                    r"[^\s\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uff60]+")  # fmt: skip
"""Line feeds, spaces, single wide characters (East Asian scripts are written without spaces), and words."""
_CLOSING = frozenset("、。，．！？」』）】〉》ー")
"""Characters that never begin a line."""


def cells_of(text: str) -> int:
    """Return the number of terminal columns of the text: wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def columns_of(stream: TextIO) -> int | None:
    """Return the width of the terminal, or None when the stream is none."""
    if not stream.isatty():
        return None
    return max(LEAST_COLUMNS, shutil.get_terminal_size().columns)


def wrapped(text: str, stream: TextIO) -> str:
    """Return the text with line breaks for the terminal behind `stream`, and unchanged for any other stream."""
    columns = columns_of(stream)
    if columns is None or cells_of(text) <= columns:
        return text
    writer = WordWrap(columns)
    return writer.feed(text) + writer.end()


@dataclass(slots=True)
class WordWrap:
    """Wrapper of a text that arrives in pieces. A word is held back until it is complete."""

    columns: int
    _at: int = 0
    """Column at which the next character would stand."""
    _space: str = ""
    """Spaces before the next word; a line break replaces them."""
    _held: str = field(default="")

    def feed(self, text: str) -> str:
        """Return what can be printed now."""
        text = self._held + text
        last = re.search(r"\S*\Z", text)
        cut = last.start() if last else len(text)
        if len(text) - cut > self.columns:  # longer than a line: it need not be complete to be printed
            cut = len(text)
        self._held = text[cut:]
        return self._broken(text[:cut])

    def end(self) -> str:
        """Return the rest."""
        rest, self._held = self._held, ""
        return self._broken(rest)

    def _broken(self, text: str) -> str:
        out: list[str] = []
        for piece in _PIECE.findall(text):
            if piece == "\n":
                out.append("\n")
                self._at, self._space = 0, ""
            elif piece.isspace():
                self._space += piece.replace("\t", "    ")
            else:
                width = cells_of(piece)
                room = self.columns - self._at - len(self._space)
                if self._at and width > room and piece not in _CLOSING:
                    out.append("\n")
                    self._at, self._space = 0, ""
                out += [self._space, piece]
                self._at += len(self._space) + width
                self._space = ""
        return "".join(out)
