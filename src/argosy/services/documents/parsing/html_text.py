"""Extraction of the title, the visible text and the cleaned markup of an HTML page.

The scan visits each character a bounded number of times, whatever the page holds. The standard library's parser takes
time that grows with the square of the number of unclosed comments or tags, and xberg with that of unclosed scripts.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "head"})
_BREAKS = frozenset(
    {"p", "div", "br", "li", "tr", "table", "ul", "ol", "section", "article", "header", "footer", "aside", "main"}
    | {"nav", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote"}
)
_SPACE = re.compile(r"[ \t\r\n\f]+")
_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>[a-zA-Z][^\s/>]*+)"
    r"(?:[^>\"'=]++|=[ \t\r\n\f]*+(?:\"[^\"]*+\"|'[^']*+')|[\"'=])*+>"
)
"""A tag. All quantifiers are possessive, so that an unclosed tag fails after one pass."""
_TAG_START = re.compile(r"</?[a-zA-Z]")
_MARKUP = re.compile(r"[!?a-zA-Z]|/.", re.DOTALL)
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style")}
"""End tags of the elements whose content is not markup."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read."""

    title: str | None
    text: str
    """Visible text, with a blank line between block elements."""
    markup: str
    """The page without comments, scripts and styles, and without the rest after an unclosed comment or tag."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A slice of the page: a tag, or text when `tag` is empty."""

    start: int
    end: int
    tag: str = ""
    closes: bool = False


class _Reader:
    def __init__(self) -> None:
        self.title: list[str] = []
        self.parts: list[str] = []
        self._in_title = False
        self._depth = 0
        self._outermost: dict[str, int] = {}
        """Depth of the outermost open element of each hidden kind."""

    def open(self, tag: str) -> None:
        if tag == "title":
            self._in_title = not self.title
        elif tag == "body":
            self._leave(0)
        elif tag in _HIDDEN:
            self._outermost.setdefault(tag, self._depth)
            self._depth += 1
        elif tag in _BREAKS:
            self.parts.append("\n")

    def close(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._outermost:
            self._leave(self._outermost[tag])
        elif tag in _BREAKS:
            self.parts.append("\n")

    def data(self, text: str) -> None:
        if self._in_title:
            self.title.append(_unescaped(text))
        elif not self._depth:
            self.parts.append(text if text == "\n" else _SPACE.sub(" ", _unescaped(text)))

    def _leave(self, depth: int) -> None:
        self._depth = depth
        self._outermost = {tag: at for tag, at in self._outermost.items() if at < depth}


def read_html(page: str) -> Page:
    """Read a page, however broken. Text after an unclosed comment or tag counts as invisible."""
    reader, markup = _Reader(), []
    for piece in _pieces(page):
        markup.append(page[piece.start : piece.end])
        if not piece.tag:
            reader.data(markup[-1])
        elif piece.closes:
            reader.close(piece.tag)
        else:
            reader.open(piece.tag)
    lines = (line.strip() for line in "".join(reader.parts).split("\n"))
    title = _SPACE.sub(" ", "".join(reader.title)).strip()
    return Page(title or None, "\n\n".join(line for line in lines if line), "".join(markup))


def _pieces(page: str) -> Iterator[_Piece]:
    """Yield tags and texts in order, leaving out comments, declarations, scripts and styles."""
    at = text_from = 0
    while (at := page.find("<", at)) >= 0:
        tag = _TAG.match(page, at)
        if tag is None and not _opens_markup(page, at):
            at += 1  # a bare "<" is text
            continue
        if text_from < at:
            yield _Piece(text_from, at)
        if tag is None:
            text_from = at = _behind_comment(page, at)
            continue
        name = tag["name"].lower()
        text_from = at = tag.end()
        raw = _RAW_END.get(name) if not tag["close"] else None
        if raw is None:
            yield _Piece(tag.start(), tag.end(), name, bool(tag["close"]))
        elif (end := raw.search(page, at)) is not None:
            text_from = at = (page.find(">", end.end()) + 1) or len(page)
        else:
            return
    if text_from < len(page):
        yield _Piece(text_from, len(page))


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


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a character number of thousands of digits
        return text
