"""Superscripts and subscripts of PDF pages: digits that are smaller than their word and above or below its line."""

from __future__ import annotations

import ctypes
import re

import pypdfium2
import pypdfium2.raw as pdfium

from argosy.services.documents.parsing.scripts import subscript, superscript

MAX_WORDS = 5_000
"""Words with digits that are examined on one page; a page that is full of small print has some 2,000."""
_WORD = re.compile(r"(?=[^\s\d]{0,80}\d)\S{2,80}")
_DIGITS = re.compile(r"\d+")
_SMALL_SHARE = 0.86
_RAISED_SHARE, _LOWERED_SHARE = 0.08, 0.03
"""Least distance from the line, as a share of the height of the line's characters, of smaller characters."""
_RAISED_ALONE_SHARE = 0.2
"""Least distance above the line of characters that are as large as the others."""
_CONTEXTS = (16, 6, 3)
"""Numbers of characters before a digit by which its place is found in the text of another reader."""
_REACH_CHARS = 20_000
"""Characters within which the next digit must be found."""
_SIGNS = "+-−–"

Scripts = list[tuple[str, str, str]]
"""Each digit with the letters and digits before it and the character that replaces it."""


def scripts_of(page: pypdfium2.PdfTextPage) -> Scripts:
    """Return the raised and lowered digits of a page, in order."""
    text = page.get_text_range()
    if len(text) != page.count_chars():
        return []  # offsets in the text are not those of the page's characters
    found: Scripts = []
    for number, word in enumerate(_WORD.finditer(text)):
        if number >= MAX_WORDS:
            break
        start, end = word.span()
        if _is_uneven(page, text, start, end):
            found += _examined(page, text, start, end)
    return found


def with_scripts(text: str, scripts: Scripts) -> str:
    """Return the text of a page, as another reader wrote it, with these superscripts and subscripts."""
    if not scripts:
        return text
    places = [at for at, letter in enumerate(text) if letter.isalnum()]
    letters = "".join(text[at] for at in places)
    out, last = list(text), -1
    for before, digit, script in scripts:
        for length in _CONTEXTS:
            context = before[-length:] + digit
            begin = max(0, last + 2 - len(context))
            if len(context) < 2 or (found := letters.find(context, begin, begin + _REACH_CHARS)) < 0:
                continue
            last = found + len(context) - 1
            at = places[last]
            out[at] = script[-1]
            if len(script) > 1 and at and out[at - 1] in _SIGNS:
                out[at - 1] = script[0]
            break
    return "".join(out)


def _box(page: pypdfium2.PdfTextPage, at: int) -> tuple[float, float]:
    """Return the height of a character and where its line is."""
    box, x, y = pdfium.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetLooseCharBox(page, at, box)
    pdfium.FPDFText_GetCharOrigin(page, at, x, y)
    return abs(box.top - box.bottom), y.value


def _is_uneven(page: pypdfium2.PdfTextPage, text: str, start: int, end: int) -> bool:
    """Return whether the ends of a word's digits are not as large, or not on the same line, as its first character."""
    height, line = _box(page, start)
    for digits in _DIGITS.finditer(text, start, end):
        for at in {digits.start(), digits.end() - 1} - {start}:
            other, its_line = _box(page, at)
            if abs(other - height) > 0.1 * height or abs(its_line - line) > _LOWERED_SHARE * height:
                return True
    return False


def _examined(page: pypdfium2.PdfTextPage, text: str, start: int, end: int) -> Scripts:
    boxes = [_box(page, at) for at in range(start, end)]
    height, line = max(boxes, key=lambda box: box[0])
    found: Scripts = []
    sign = ""
    for at, (own, its_line) in zip(range(start, end), boxes, strict=True):
        small, above = own < _SMALL_SHARE * height, (its_line - line) / height if height else 0.0
        raised = above > (_RAISED_SHARE if small else _RAISED_ALONE_SHARE)
        lowered = small and above < -_LOWERED_SHARE
        letter = text[at]
        if letter in _SIGNS and (raised or lowered):
            sign = "⁻" if raised and letter != "+" else "⁺" if raised else "₋" if letter != "+" else "₊"
            continue
        if letter.isdecimal() and letter.isascii() and (raised or lowered):
            written = superscript(letter) if raised else subscript(letter)
            before = "".join(one for one in text[max(0, at - 60) : at] if one.isalnum())
            found.append((before, letter, sign + written))
        sign = ""
    return found
