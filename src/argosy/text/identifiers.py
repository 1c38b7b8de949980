"""Identifiers of a text: part numbers, versions, paths, names in code. They are indexed whole beside their parts.

An identifier is a run of letters and digits joined by `-`, `_`, `.`, `/` or `:` that has a digit or an underscore, a
word with both letters and digits, or one of the names C++, C#, F# and .NET. Ordinals ("21st"), plain numbers, dates
with slashes and words of scripts without spaces are not identifiers.
"""

from __future__ import annotations

import re

from argosy.text.scripts import SYLLABIC, UNSPACED
from argosy.text.visible import visible_text

MARK = "="
"""First character of the token of a whole identifier, so that it differs from the stem of a word."""

_CANDIDATE = re.compile(
    r"[^\W_]+(?:[-_./:][^\W_]+)+"
    r"|\b(?:[a-z]\+\+|[a-z]#)(?!\w)"
    r"|\.net\b"
    r"|\b\w*(?:\d[^\W\d_]|[^\W\d_]\d|[^\W_]_+[^\W_])\w*"
)
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|s|er|re|e|te|ten|ter|o|a|º|ª)")
_CODED = re.compile(r"[\d_#]|\+\+|^\.net")
_FIGURES = re.compile(r"[\d.,:/-]+")
_CODED_FIGURES = re.compile(r"\d\.\d+\.\d|\d-\d")
_VERSION = re.compile(r"v\d+(?:\.\d+)+")
_UNSPACED = re.compile(f"[{UNSPACED}{SYLLABIC}]")


def identifiers(text: str) -> list[str]:
    """Return the identifiers of `text` in lower case, in order, with repetitions.

    A version with a leading v is followed by the version without it: "v2.1.1", "2.1.1".
    """
    return identifiers_in(visible_text(text).lower())


def identifiers_in(low: str) -> list[str]:
    """Return the identifiers of a text that is already visible and in lower case."""
    found: list[str] = []
    for match in _CANDIDATE.finditer(low):
        name = match.group()
        if not _is_identifier(name):
            continue
        found.append(name)
        if _VERSION.fullmatch(name):
            found.append(name[1:])
    return found


def _is_identifier(name: str) -> bool:
    if not _CODED.search(name) or _ORDINAL.fullmatch(name) or _UNSPACED.search(name):
        return False
    return not _FIGURES.fullmatch(name) or _CODED_FIGURES.search(name) is not None
