"""Lists as units: readable items, lists of links that are left out, and the words of a whole list."""

from __future__ import annotations

import re
from collections.abc import Sequence

from argosy.text.blocks import Block, BlockKind
from argosy.text.markup import link_share, readable

MAX_ITEM_WORDS = 60
"""Longest item, in words, that is one unit. A longer item is split into its parts."""
MAX_LIST_WORDS = 90
"""Longest list, in words, that is quoted whole. The items of a longer list are cut to their first sentence."""
NAVIGATION_SHARE = 0.6
_TURNS_PAGES = re.compile(r"\W*(?:Prev|Previous|Next|Up|Home|Contents)\b")
_INNER_MARKER = re.compile(r"\n\s*(?:>\s*)*(?:[-*+]|\d{1,9}[.)])[ \t]+")
_CHECKBOX = re.compile(r"\[[ xX]\]\s+")
_FIRST_SENTENCE = re.compile(r".{20,}?[.!?。！？](?=\s|\Z)")
_BULLET = re.compile(r"(?m)^([ \t]*)[•–·▪◦‣](?=[ \t]+\S)")
_MARKERS = re.compile(r"(?m)^[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+\S")


def item_text(text: str, item: Block) -> str:
    """Return an item as one line, without its marker and those of the lists in it."""
    words = readable(_INNER_MARKER.sub(" ", text[item.body : item.end]))
    checkbox = _CHECKBOX.match(words)
    return words[checkbox.end() :] if checkbox else words


def marker_of(text: str, item: Block) -> str:
    """Return the number of an item, such as `2.`, or `-`."""
    marker = text[item.start : item.body].strip()
    return marker if marker[:1].isdigit() else "-"


def is_navigation(text: str, items: Sequence[Block]) -> bool:
    """Return whether a list only leads to other pages or to other places of the page."""
    if not items:
        return False
    raw = [text[item.body : item.end][:2_000] for item in items]
    linked = sum(link_share(one) >= 0.75 for one in raw)
    if len(items) >= 2 and linked >= NAVIGATION_SHARE * len(items):
        return True
    return linked > 0 and _TURNS_PAGES.match(readable(raw[0])) is not None


def shown_list(items: Sequence[tuple[str, str]], lead: str) -> tuple[str, int]:
    """Return the lines of a list (marker, words) after its lead-in, and how many of its items they hold."""
    if sum(len(words.split()) for _, words in items) > MAX_LIST_WORDS:
        items = [(marker, _first_sentence(words)) for marker, words in items]
    lines: list[str] = []
    words_taken = len(lead.split())
    for marker, words in items:
        count = len(words.split())
        if lines and words_taken + count > MAX_LIST_WORDS:
            break
        lines.append(f"{marker} {words}")
        words_taken += count
    shown = [*([lead] if lead else []), *lines, *(["…"] if len(lines) < len(items) else [])]
    return "\n".join(shown), len(lines)


def with_dashes(text: str) -> str:
    """Return a text of the same length in which bullets that Markdown does not know are dashes."""
    return _BULLET.sub(r"\1-", text)


def holds_list(text: str) -> bool:
    """Return whether at least two lines of a plain paragraph begin with a bullet or a number."""
    return sum(1 for _ in _MARKERS.finditer(with_dashes(text))) >= 2


def own_blocks(item: Block) -> tuple[list[Block], list[Block]]:
    """Return the paragraphs of an item, and its other blocks."""
    prose = [child for child in item.children if child.kind is BlockKind.PARAGRAPH]
    return prose, [child for child in item.children if child.kind is not BlockKind.PARAGRAPH]


def _first_sentence(words: str) -> str:
    found = _FIRST_SENTENCE.match(words)
    return found[0] if found else words
