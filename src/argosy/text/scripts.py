"""Writing systems: the script of a character and of a text, and the scripts that are written without spaces."""

from __future__ import annotations

import re
from collections import Counter

UNSPACED = (
    "\u2e80-\u2eff\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\u1100-\u11ff\U00020000-\U0003ffff"
)
"""Chinese, Japanese and Korean characters, as the inside of a character class: indexed as pairs of characters."""
SYLLABIC = "\u0e00-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f"
"""Thai, Lao, Khmer and Burmese characters, as the inside of a character class: indexed as triples of characters."""

_NAMES = {
    "han": "\u2e80-\u2eff\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "kana": "\u3040-\u30ff\u31f0-\u31ff",
    "hangul": "\uac00-\ud7af\u1100-\u11ff",
    "thai": "\u0e00-\u0e7f",
    "lao": "\u0e80-\u0eff",
    "khmer": "\u1780-\u17ff",
    "burmese": "\u1000-\u109f\uaa60-\uaa7f",
    "cyrillic": "\u0400-\u052f",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "arabic": "\u0600-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufeff",
    "hebrew": "\u0590-\u05ff",
    "devanagari": "\u0900-\u097f",
    "bengali": "\u0980-\u09ff",
    "gurmukhi": "\u0a00-\u0a7f",
    "gujarati": "\u0a80-\u0aff",
    "tamil": "\u0b80-\u0bff",
    "telugu": "\u0c00-\u0c7f",
    "kannada": "\u0c80-\u0cff",
    "malayalam": "\u0d00-\u0d7f",
    "sinhala": "\u0d80-\u0dff",
    "armenian": "\u0530-\u058f",
    "georgian": "\u10a0-\u10ff",
}
_CLASSES = {name: re.compile(f"[{characters}]") for name, characters in _NAMES.items()}
LATIN = "latin"
_KANA_SHARE = 0.05
"""Least share of kana among Chinese characters by which a text is Japanese."""


def script_of(text: str) -> str | None:
    """Return the name of the script of most letters of `text`; None without letters.

    A text with some kana among Chinese characters is Japanese and has the script `kana`.
    """
    if text.isascii():
        return LATIN if any(character.isalpha() for character in text) else None
    counts = Counter({name: len(found) for name, pattern in _CLASSES.items() if (found := pattern.findall(text))})
    letters = sum(character.isalpha() for character in text)
    known = sum(counts.values())
    if letters > known:
        counts[LATIN] = letters - known
    if not counts:
        return None
    if counts["kana"] and counts["kana"] >= _KANA_SHARE * counts["han"]:
        counts["kana"] += counts.pop("han", 0)
    return counts.most_common(1)[0][0]
