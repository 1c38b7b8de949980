"""Check of the markers in a model's answer while it streams: a marker without a passage never reaches the user.

Models write `[1]`, `[1, 2]`, `[1-3]` or `【1】`, in pieces of any size. Text is held back only while it may be a
marker. Brackets inside program code are no markers.
"""

from __future__ import annotations

import re

MAX_MARKER_CHARS = 48
_OPEN, _CLOSE = "[【", "]】"
_NUMBER = r"\d{1,3}"
_ITEM = rf"{_NUMBER}(?:\s*[-–]\s*{_NUMBER})?"
_MARKER = re.compile(rf"\s*({_ITEM}(?:\s*[,;]\s*{_ITEM})*)\s*")
_BEGINNING = re.compile(r"[\d\s,;–-]*")
_FENCES = ("```", "~~~")


class MarkerFilter:
    """Filter of one answer. `cited` holds the numbers of the passages that were named so far, in order."""

    def __init__(self, passages: int) -> None:
        self.cited: list[int] = []
        self._passages = passages
        self._out: list[str] = []
        self._space = ""
        self._dropped = ""
        self._bracket = ""
        self._line = ""
        self._fenced = False

    def feed(self, text: str) -> str:
        """Take the next piece of the answer; return the text that may be shown."""
        for char in text:
            self._take(char)
        return self._flushed()

    def end(self) -> str:
        """Return the text that was still held back."""
        held, self._space, self._bracket = self._space + self._bracket, "", ""
        self._emit(held)
        return self._flushed()

    def _take(self, char: str) -> None:
        if self._bracket:
            inside = self._bracket[1:]
            if char in _CLOSE and (marker := _MARKER.fullmatch(inside)):
                self._resolve(marker[1])
                return
            if _BEGINNING.fullmatch(inside + char) and len(inside) < MAX_MARKER_CHARS:
                self._bracket += char
                return
            self._emit(self._space + self._bracket)
            self._space = self._bracket = ""
        if char in _OPEN and not self._in_code():
            self._space = self._space or self._dropped
            self._bracket = char
        elif char in " \t":
            self._space += char
        else:
            self._emit(self._space + char)
            self._space = self._dropped = ""

    def _resolve(self, items: str) -> None:
        """Show the numbers that name a passage as `[1][2]`; drop the others with the space before them."""
        numbers: list[int] = []
        for item in re.split(r"\s*[,;]\s*", items):
            first, _, last = re.sub(r"\s*[-–]\s*", "-", item).partition("-")
            numbers += range(int(first), min(int(last or first), self._passages) + 1)
        valid = [n for n in dict.fromkeys(numbers) if 1 <= n <= self._passages]
        if valid:
            self._emit(self._space + "".join(f"[{n}]" for n in valid))
            self.cited += [n for n in valid if n not in self.cited]
        self._dropped = "" if valid else self._space
        self._space = self._bracket = ""

    def _in_code(self) -> bool:
        """Return whether the next bracket belongs to code: in a fenced block, or an index inside back ticks."""
        if self._fenced or self._line.lstrip().startswith(_FENCES):
            return True
        before = self._space or self._line[-1:]
        return self._line.count("`") % 2 == 1 and (before.isalnum() or before in ("_", ")", "]"))

    def _emit(self, text: str) -> None:
        for char in text:
            if char == "\n":
                self._fenced ^= self._line.lstrip().startswith(_FENCES)
                self._line = ""
            else:
                self._line += char
        self._out.append(text)

    def _flushed(self) -> str:
        text, self._out = "".join(self._out), []
        return text
