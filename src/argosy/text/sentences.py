"""Sentences of a text as exact slices of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from argosy.text.markup import masked

# Passages come from untrusted documents, so no pattern may backtrack over the same text.
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]*_]*+(?:\[\^?\d{1,3}\])*+(?=\s)|[。！？]++[」』”）]*+")
_BEFORE_WORD = "([\"“‘'"
MAX_WORD_CHARS = 64
"""Longest word before a full stop that may be an abbreviation."""
_NEXT_WORD = re.compile(r"[\s\"'“‘«(\[*_]*(\w+)?")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+$")

_NEVER_LAST = (
    "dr mr mrs ms prof st rev hon gen col capt lt sgt sen rep gov pres messrs vs cf e.g i.e viz al ca approx "
    "fig figs eq eqs sec ch vol pp ed eds mt ft op"
)
"""Abbreviations that never end a sentence."""

_SELDOM_LAST = (
    "etc inc ltd co corp jr sr a.m p.m dept est ave blvd univ assn bros jan feb mar apr jun jul aug sep sept oct nov "
    "dec ph.d"
)
_BEFORE_NUMBERS = "no nos p art par"
_STARTERS = (
    "the a an it its this that these those he she they we you i his her their our in on at by for from with as but "
    "and or if when while after before since although however there here what who why how to"
)
"""Words that begin a sentence when capitalised, rather than continue a name."""

_MONTH_NAMES = """
    january february march april may june july august september october november december januar februar märz mai juni
    juli oktober dezember jänner januari februari maart mei augustus mars maj augusti marts
"""
_MONTHS = frozenset(_MONTH_NAMES.split())
"""Names of months: "1. May" and "3. Oktober" are dates, and the full stop after the number ends no sentence."""

_NEVER_LAST_WORDS = frozenset(_NEVER_LAST.split())
_SELDOM_LAST_WORDS = frozenset(_SELDOM_LAST.split())
_BEFORE_NUMBERS_WORDS = frozenset(_BEFORE_NUMBERS.split())
_STARTERS_WORDS = frozenset(_STARTERS.split())


def sentence_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the sentences of the slice [start, end) of `text`, in order, without white space at their ends.

    A sentence never ends inside a link or a code span.
    """
    words = masked(text[start:end])
    for first, last in _sentences(words, 0, len(words)):
        begin, until = start + first, start + last
        while begin < until and text[begin].isspace():
            begin += 1
        while until > begin and text[until - 1].isspace():
            until -= 1
        if begin < until:
            yield begin, until


def _sentences(passage: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    first = start
    for match in _END.finditer(passage, start, end):
        if _ends_here(passage, first, match, end):
            yield first, match.end()
            first = match.end()
    yield first, end


def _ends_here(passage: str, first: int, match: re.Match[str], end: int) -> bool:
    mark = match[0]
    if not mark.startswith("."):
        follows = _NEXT_WORD.match(passage, match.end(), end)
        return mark[0] in "。！？" or not (follows and follows[1] and follows[1][0].islower())
    follows = _NEXT_WORD.match(passage, match.end(), end)
    following = follows[1] if follows and follows[1] else ""
    if following[:1].islower():
        return False
    word = _word_before(passage, first, match.start())
    bare = word.lower().rstrip(".")
    starter = following.lower() in _STARTERS_WORDS
    if bare in _NEVER_LAST_WORDS or (word.isdigit() and len(word) <= 2 and following.lower() in _MONTHS):
        return False
    if bare in _BEFORE_NUMBERS_WORDS:
        return not following[:1].isdigit()
    if bare in _SELDOM_LAST_WORDS or (_ACRONYM.fullmatch(word + ".") and len(word) > 1):
        return starter or not following
    # A single capital is an initial, unless a clear sentence start follows. Digits at the start are a line number.
    if len(word) == 1 and word.isalpha() and word != "I":
        return starter
    return not (word.isdigit() and first == match.start() - len(word))


def _word_before(passage: str, first: int, end: int) -> str:
    begin, least = end, max(first, end - MAX_WORD_CHARS)
    while begin > least and not passage[begin - 1].isspace() and passage[begin - 1] not in _BEFORE_WORD:
        begin -= 1
    return passage[begin:end]
