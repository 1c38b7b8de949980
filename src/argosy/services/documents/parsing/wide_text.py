"""Detection of UTF-16 and UTF-32 text, with or without a byte order mark."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter
from collections.abc import Mapping

_MARKS: Mapping[bytes, str] = {
    codecs.BOM_UTF32_LE: "utf-32",  # before the UTF-16 mark, which is its prefix
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_UNMARKED = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_SAMPLE_BYTES = 4096
_LEAST_CHARS = 8
"""Least number of characters to decide by; fewer prove nothing."""
_LEAST_SHARE = 0.9
"""Least share of the characters that belong to one script. Other data read as UTF-16 mixes many scripts."""
_SHARED = ((0x0020, 0x00BF), (0x2000, 0x206F), (0x3000, 0x303F), (0xFF00, 0xFFEF))
"""Code point ranges of punctuation and symbols that several scripts share."""
_SPACE = "\t\n\v\f\r "
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA"})


def marked_encoding(data: bytes) -> str | None:
    """Return the encoding that the byte order mark names, or None without one."""
    return next((encoding for mark, encoding in _MARKS.items() if data.startswith(mark)), None)


def unmarked_encoding(data: bytes) -> str | None:
    """Return the encoding in which the beginning of `data` is text in one script, or None when there is none.

    Call this only for data that is not text in any single-byte encoding: the bytes of "Bush hid the facts" are
    also valid Chinese text in UTF-16.
    """
    found = {encoding: _sample(data, encoding) for encoding in _UNMARKED}
    likely = {encoding: _shared(text) for encoding, text in found.items() if _is_one_writing(text)}
    return max(likely, key=likely.__getitem__) if likely else None


def _sample(data: bytes, encoding: str) -> str:
    """Decode the beginning of the data; empty when it is invalid. A last character that is cut off is ignored."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data[:_SAMPLE_BYTES])
    except UnicodeDecodeError:
        return ""


def _is_one_writing(text: str) -> bool:
    if len(text) < _LEAST_CHARS:
        return False
    writings = Counter(_writing(character) for character in text)
    if writings.pop("none", 0):
        return False
    shared = writings.pop("shared", 0)
    largest = max(writings.values(), default=0)
    return shared > 0 and shared + largest >= _LEAST_SHARE * len(text)


def _writing(character: str) -> str:
    """Return the script of a character: `LATIN`, `CYRILLIC` and so on.

    Returns `shared` for common punctuation, digits and spaces, `rare` for other symbols, and `none` for characters that
    occur in no text.
    """
    if character in _SPACE:
        return "shared"
    category = unicodedata.category(character)
    if category in ("Cc", "Cn", "Co"):
        return "none"
    if category[0] not in "LM":
        return "shared" if _is_shared(character) else "rare"
    first = unicodedata.name(character, "rare").partition(" ")[0]
    return "shared" if first == "COMBINING" else "CJK" if first in _EAST_ASIAN else first


def _is_shared(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _SHARED)


def _shared(text: str) -> int:
    """Return the number of shared characters: with the bytes in the wrong order there are none."""
    return sum(1 for character in text if character in _SPACE or _is_shared(character))
