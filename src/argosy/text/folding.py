"""Folding of accents, so that "uber" and "über" can find each other."""

from __future__ import annotations

import re
import unicodedata

_MARKS = re.compile("[\u0300-\u036f]")
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ħ": "h", "ё": "е"}
)
"""Letters that have no decomposition into a base letter and an accent, and the spelling without them."""


def folded(word: str) -> str:
    """Return the lower-case word without accents. Marks outside the Latin, Greek and Cyrillic scripts are kept."""
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFD", word.translate(_LETTERS))
    return unicodedata.normalize("NFC", _MARKS.sub("", decomposed))
