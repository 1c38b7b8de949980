"""A passage of Markdown-like text, cut into what an answer may quote; every piece is an exact slice of the passage."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_ITEM_WORDS = 60
"""A list item is one unit up to here; a longer one is cut into its sentences."""

# Passages come from documents made by anybody: no pattern may try a place twice.
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_RULE = re.compile(r" {0,3}([-*_])([ \t]*\1){2,}[ \t]*$")
_TABLE_RULE = re.compile(r"[ \t]*+(?:\|[ \t]*+)?:?-{2,}+:?[ \t]*+(?:\|[ \t]*+:?-{2,}+:?[ \t]*+)*+(?:\|[ \t]*+)?$")
_ITEM = re.compile(r"[ \t]*+(?:[-*+•]|\d{1,3}[.)])[ \t]+(?=\S)")
_QUOTE = re.compile(r" {0,3}>[ \t]?")
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]*_]*+(?=\s)|[。！？]++[」』”）]*+")
_BEFORE_WORD = "([\"“‘'"
MAX_WORD_CHARS = 64
"""A longer word before a full stop is no abbreviation."""
_NEXT_WORD = re.compile(r"[\s\"'“‘«(\[*_]*(\w+)?")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+$")

_NEVER_LAST = (
    "dr mr mrs ms prof st rev hon gen col capt lt sgt sen rep gov pres messrs vs cf e.g i.e viz al ca approx "
    "fig figs eq eqs sec ch vol pp ed eds mt ft op"
)
"""Abbreviations that something always follows."""

_SELDOM_LAST = (
    "etc inc ltd co corp jr sr a.m p.m dept est ave blvd univ assn bros jan feb mar apr jun jul aug sep sept oct nov "
    "dec ph.d"
)
_BEFORE_NUMBERS = "no nos p art par"
_STARTERS = (
    "the a an it its this that these those he she they we you i his her their our in on at by for from with as but "
    "and or if when while after before since although however there here what who why how to"
)
"""Words that, capitalised, begin a sentence rather than continue a name."""

_NEVER_LAST_WORDS = frozenset(_NEVER_LAST.split())
_SELDOM_LAST_WORDS = frozenset(_SELDOM_LAST.split())
_BEFORE_NUMBERS_WORDS = frozenset(_BEFORE_NUMBERS.split())
_STARTERS_WORDS = frozenset(_STARTERS.split())


class Kind(enum.StrEnum):
    PROSE = "prose"
    ITEM = "item"
    ROW = "row"
    CODE = "code"
    HEADING = "heading"
    """A heading or the head of a table: known, never an answer by itself."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text` equals `passage[start:end]`, is not empty and has no white space at its ends."""

    start: int
    end: int
    text: str
    kind: Kind


def split(passage: str) -> list[Sentence]:
    """The sentences, list items, table rows, code blocks and headings of `passage`, in order, not overlapping."""
    found: list[Sentence] = []
    for start, end, kind in _blocks(passage):
        pieces: Iterator[tuple[int, int]] = iter([(start, end)])
        if kind is Kind.PROSE or (kind is Kind.ITEM and len(passage[start:end].split()) > MAX_ITEM_WORDS):
            pieces = _sentences(passage, start, end)
        for first, last in pieces:
            inner = passage[first:last]
            first += len(inner) - len(inner.lstrip())
            last -= len(inner) - len(inner.rstrip())
            if first < last:
                found.append(Sentence(first, last, passage[first:last], kind))
    return found


def _lines(passage: str) -> list[tuple[int, int]]:
    spans = []
    start = 0
    for line in passage.splitlines(keepends=True):
        spans.append((start, start + len(line.rstrip("\r\n"))))
        start += len(line)
    return spans


def _blocks(passage: str) -> Iterator[tuple[int, int, Kind]]:
    """Start, end and kind of each block; paragraphs and list items reach over their continuation lines."""
    lines = _lines(passage)
    open_block: tuple[int, int, Kind] | None = None
    number = 0
    while number < len(lines):
        start, end = lines[number]
        line = passage[start:end]
        number += 1
        if open_block is not None and _UNDERLINE.match(line) and _may_be_title(passage, open_block):
            yield open_block[0], open_block[1], Kind.HEADING
            open_block = None
            continue
        fence = _FENCE.match(line)
        heading = _HEADING.match(line)
        row = line.lstrip().startswith("|")
        item = _ITEM.match(line)
        plain = bool(line.strip()) and not (fence or heading or row or item or _RULE.match(line))
        if plain and open_block is not None:
            open_block = (open_block[0], end, open_block[2])
            continue
        if open_block is not None:
            yield open_block
            open_block = None
        if fence:
            number, end = _code_end(passage, lines, number, fence[1])
            yield start, end, Kind.CODE
        elif heading:
            words = line[heading.end() :].rstrip(" \t").rstrip("#").rstrip(" \t")
            yield start + heading.end(), start + heading.end() + len(words), Kind.HEADING
        elif row:
            if not _TABLE_RULE.match(line):
                below = passage[slice(*lines[number])] if number < len(lines) else ""
                yield start, end, Kind.HEADING if "|" in below and _TABLE_RULE.match(below) else Kind.ROW
        elif item and not _RULE.match(line):
            open_block = (start + item.end(), end, Kind.ITEM)
        elif plain:
            quote = _QUOTE.match(line)
            open_block = (start + (quote.end() if quote else 0), end, Kind.PROSE)
    if open_block is not None:
        yield open_block


def _may_be_title(passage: str, block: tuple[int, int, Kind]) -> bool:
    """One line of its own, not quoted: what an underline makes a heading. Below anything else the line is a rule."""
    start, end, kind = block
    begins_line = start == 0 or passage[start - 1] in "\r\n"
    return kind is Kind.PROSE and begins_line and "\n" not in passage[start:end]


def _code_end(passage: str, lines: list[tuple[int, int]], number: int, fence: str) -> tuple[int, int]:
    """The line after the block that `fence` opened, and the block's last offset; an unclosed one reaches the end."""
    while number < len(lines):
        line = passage[slice(*lines[number])].strip()
        number += 1
        if line.startswith(fence) and not line.strip(fence[0]):
            break
    return number, lines[number - 1][1]


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
    if bare in _NEVER_LAST_WORDS:
        return False
    if bare in _BEFORE_NUMBERS_WORDS:
        return not following[:1].isdigit()
    if bare in _SELDOM_LAST_WORDS or (_ACRONYM.fullmatch(word + ".") and len(word) > 1):
        return starter or not following
    # A single capital is an initial, unless what follows clearly begins anew; digits before are a numbered line.
    if len(word) == 1 and word.isalpha() and word != "I":
        return starter
    return not (word.isdigit() and first == match.start() - len(word))


def _word_before(passage: str, first: int, end: int) -> str:
    begin, least = end, max(first, end - MAX_WORD_CHARS)
    while begin > least and not passage[begin - 1].isspace() and passage[begin - 1] not in _BEFORE_WORD:
        begin -= 1
    return passage[begin:end]
