"""Scanner of HTML pages: splits a page into tags and texts, without comments, scripts and styles.

The scan visits each character a bounded number of times, whatever the page holds. The standard library's parser takes
time that grows with the square of the number of unclosed comments or tags, and xberg with that of unclosed scripts.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>[a-zA-Z][^\s/>]*+)"
    r"(?:[^>\"'=]++|=[ \t\r\n\f]*+(?:\"[^\"]*+\"|'[^']*+')|[\"'=])*+>"
)
"""A tag. All quantifiers are possessive, so that an unclosed tag fails after one pass."""
_TAG_START = re.compile(r"</?[a-zA-Z]")
_MARKUP = re.compile(r"[!?a-zA-Z]|/.", re.DOTALL)
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style")}
"""End tags of the elements whose content is not markup."""
_ATTRIBUTE = re.compile(r"([^\s\"'<>/=]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A slice of the page: a tag, or text when `tag` is empty."""

    start: int
    end: int
    tag: str = ""
    closes: bool = False


def pieces(page: str) -> Iterator[Piece]:
    """Yield tags and texts in order, leaving out comments, declarations, scripts and styles."""
    at = text_from = 0
    while (at := page.find("<", at)) >= 0:
        tag = _TAG.match(page, at)
        if tag is None and not _opens_markup(page, at):
            at += 1  # a bare "<" is text
            continue
        if text_from < at:
            yield Piece(text_from, at)
        if tag is None:
            text_from = at = _behind_comment(page, at)
            continue
        name = tag["name"].lower()
        text_from = at = tag.end()
        raw = _RAW_END.get(name) if not tag["close"] else None
        if raw is None:
            yield Piece(tag.start(), tag.end(), name, bool(tag["close"]))
        elif (end := raw.search(page, at)) is not None:
            text_from = at = (page.find(">", end.end()) + 1) or len(page)
        else:
            return
    if text_from < len(page):
        yield Piece(text_from, len(page))


def attributes(tag: str) -> dict[str, str]:
    """Return the attributes of a tag by their names in lower case; an attribute without a value has an empty one."""
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(tag, len(tag) - len(tag.lstrip("</")), len(tag) - 1):
        found.setdefault(name.lower(), double or single or bare)
    return found


def unescaped(text: str) -> str:
    """Return the text with its character references resolved."""
    try:
        return html.unescape(text) if "&" in text else text
    except ValueError:  # a character number of thousands of digits
        return text


def _opens_markup(page: str, at: int) -> bool:
    return _MARKUP.match(page, at + 1) is not None


def _behind_comment(page: str, at: int) -> int:
    """Return the offset after a comment, a declaration or an invalid tag; the end of the page when it is unclosed."""
    if page.startswith("<!--", at):
        if page.startswith((">", "->"), at + 4):
            return page.index(">", at) + 1
        end = page.find("-->", at + 4)
        return len(page) if end < 0 else end + 3
    if _TAG_START.match(page, at):
        return len(page)  # the tag is unclosed
    return (page.find(">", at) + 1) or len(page)
