"""Visible form of a text, in which it is indexed and searched, with a map back to the text as it is stored.

The visible form is NFKC without characters that a reader cannot see: soft hyphens, zero-width characters, direction
marks, variation selectors and tags. "ﬁle" becomes "file", and "co\\u00adop" becomes "coop".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters without a visible shape, as the inside of a character class of `re`."""

_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_TRAILING_JAMO = range(0x1160, 0x1200)
"""Vowels and final consonants of Hangul, which compose with the character before them."""


@dataclass(frozen=True, slots=True)
class Visible:
    """Visible form `text` of a stored text."""

    text: str
    _starts: Sequence[int]
    """Offset in the stored text at which the source of each character of `text` begins; then the end."""
    _ends: Sequence[int]
    """Offset in the stored text at which the source of each character of `text` ends."""

    def stored(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the stored text from which `text[start:end]` was made.

        An empty span becomes an empty span. Characters that were composed together are returned together.
        """
        if start >= end:
            return self._starts[start], self._starts[start]
        return self._starts[start], self._ends[end - 1]


def visible(text: str) -> Visible:
    """Return the visible form of `text` with the map of its offsets."""
    if not _INVISIBLE.search(text) and unicodedata.is_normalized("NFKC", text):
        return Visible(text, range(len(text) + 1), range(1, len(text) + 1))
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end, seen in _clusters(text):
        part = unicodedata.normalize("NFKC", seen)
        parts.append(part)
        starts.extend([start] * len(part))
        ends.extend([end] * len(part))
    starts.append(len(text))
    return Visible("".join(parts), starts, ends)


def visible_text(text: str) -> str:
    """Return the visible form of `text` without a map of its offsets."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))


def _clusters(text: str) -> Iterator[tuple[int, int, str]]:
    """Split `text` where normalisation cannot cross. Yield the start, the end and the visible characters of each part.

    The end excludes invisible characters that follow the part, so that a citation does not contain them.
    """
    start = end = 0
    seen: list[str] = []
    for index, character in enumerate(text):
        if _INVISIBLE.match(character):
            continue
        if seen and _begins(character):
            yield start, end, "".join(seen)
            seen = []
        if not seen:
            start = index
        seen.append(character)
        end = index + 1
    if seen:
        yield start, end, "".join(seen)


def _begins(character: str) -> bool:
    """Return whether no normalisation joins the character with the characters before it."""
    if character.isascii():
        return True
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.category(first)[0] != "M" and ord(first) not in _TRAILING_JAMO
