"""Terms of a text for the lexical index, by the language of the text.

A text is read in its visible form and in lower case. Chinese, Japanese and Korean runs become pairs of characters and
single characters; Thai, Lao, Khmer and Burmese runs become triples. Other words lose the language's stop words and are
reduced to their stems. Whole identifiers are added as terms of their own, marked with `=`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import NamedTuple

import Stemmer

from argosy.text.identifiers import MARK, identifiers_in
from argosy.text.scripts import SYLLABIC, UNSPACED
from argosy.text.stop_words import STOP_WORDS
from argosy.text.visible import visible_text

VERSION = 1
"""Version of the rules in this package that determine terms. An index of another version is analysed anew."""

STEMMERS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish", "fr": "french", "ga": "irish",
    "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian",
    "ne": "nepali", "nl": "dutch", "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
"""Snowball's stemmers by language. Words of other languages are indexed as they are."""

MAX_WORD_CHARS = 64
"""Longest word that is indexed; encoded data and other longer runs are no words."""

_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0903\u093a-\u094f"
)
_MARKS += "\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a03\u0a3c-\u0a51\u0a81-\u0a83\u0abc-\u0acd"
_MARKS += "\u0b01-\u0b03\u0b3c-\u0b57\u0b82\u0bbe-\u0bcd\u0c00-\u0c04\u0c3e-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6"
_MARKS += "\u0d00-\u0d03\u0d3b-\u0d4d\u0d82\u0d83\u0dca-\u0ddf\u3099\u309a"
_RUN = re.compile(
    f"[{UNSPACED}]+|[{SYLLABIC}]+|(?:(?![{UNSPACED}{SYLLABIC}])[^\\W_])(?:(?![{UNSPACED}{SYLLABIC}])[^\\W_]|[{_MARKS}])*"
)
_RUN_ASCII = re.compile(r"[a-z0-9]+")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_SYLLABIC = re.compile(f"[{SYLLABIC}]")
_local = threading.local()


class Term(NamedTuple):
    """Term of the index. `surface` is the word it was made of; None for identifiers and groups of characters."""

    surface: str | None
    stem: str


def terms(text: str, language: str | None) -> list[Term]:
    """Return the terms of `text` in `language`: first its whole identifiers, then its words in order."""
    low = visible_text(text).lower()
    found = [Term(None, MARK + name) for name in identifiers_in(low)]
    found.extend(_words(low, language))
    return found


def words(text: str) -> list[str]:
    """Return the words of `text` in lower case, in order, with stop words and unstemmed. Long runs are left out."""
    low = visible_text(text).lower()
    return [run for run in _runs(low) if len(run) <= MAX_WORD_CHARS]


def stem(word: str, language: str | None) -> str:
    """Return the stem of a lower-case word in `language`; the word itself when there is no stemmer."""
    name = STEMMERS.get(language or "")
    return word if name is None else str(_stemmer(name).stemWord(word))


def _words(low: str, language: str | None) -> Iterator[Term]:
    stop = STOP_WORDS.get(language or "", frozenset())
    name = STEMMERS.get(language or "")
    kept: list[str] = []
    plain = low.isascii()
    for run in _runs(low):
        if not plain and (_UNSPACED.match(run) or _SYLLABIC.match(run)):
            yield from _stemmed(kept, name)
            kept = []
            yield from _groups(run)
        elif run not in stop and len(run) <= MAX_WORD_CHARS:
            kept.append(run)
    yield from _stemmed(kept, name)


def _runs(low: str) -> list[str]:
    return (_RUN_ASCII if low.isascii() else _RUN).findall(low)


def _stemmed(kept: list[str], name: str | None) -> Iterator[Term]:
    stems = kept if name is None else _stemmer(name).stemWords(kept)
    return map(Term, kept, stems)


def _groups(run: str) -> Iterator[Term]:
    if _SYLLABIC.match(run):
        yield from (Term(None, group) for group in _grams(run, 3))
        return
    yield from (Term(None, group) for group in _grams(run, 2))
    if len(run) > 1:
        yield from (Term(None, character) for character in run)


def _grams(run: str, size: int) -> list[str]:
    """Return the overlapping groups of `size` characters; the whole run when it is shorter."""
    return [run[at : at + size] for at in range(max(1, len(run) - size + 1))]


def _stemmer(name: str) -> Stemmer.Stemmer:
    # A stemmer keeps state while it works, so each thread has its own ones.
    stemmers: dict[str, Stemmer.Stemmer] | None = getattr(_local, "stemmers", None)
    if stemmers is None:
        stemmers = _local.stemmers = {}
    if name not in stemmers:
        stemmers[name] = Stemmer.Stemmer(name)
    return stemmers[name]
