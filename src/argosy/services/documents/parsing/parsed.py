"""The result of parsing a document, and the normalisation applied to every text."""

from __future__ import annotations

import codecs
import re

import msgspec

from argosy.services.documents.parsing.charsets import known_charset
from argosy.services.documents.parsing.utf8 import mostly_utf8
from argosy.services.documents.parsing.wide_text import marked_encoding

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_FRONT_MATTER_TITLE = re.compile(r"\A---\n(?:(?!---\n|title:).*+\n)*+title:[ \t]*+(.++)\n")
_PAGE_BREAK = "\n\n"
WHOLE_SHARE = 0.95
"""Least share of a document's characters that its pages must hold together to replace its content."""
_FIRST_HEADING = re.compile(r"^ {0,3}#[ \t]+(\S.*)$", re.MULTILINE)


class PageSpan(msgspec.Struct, array_like=True):
    """Position of page `page` (from 1): the slice [start, end) of the text, in characters."""

    page: int
    start: int
    end: int


class CodeSection(msgspec.Struct, array_like=True):
    """Section of code: from `start` to the next section. `path` names the definitions around it, outermost first."""

    start: int
    path: list[str]


class Properties(msgspec.Struct):
    """Properties that a document states about itself, and its detected language."""

    author: str | None = None
    created: str | None = None
    """Date of creation, in ISO 8601 if the document gives it so; `modified` likewise."""
    modified: str | None = None
    language: str | None = None
    """Two-letter ISO 639-1 code, or the three-letter ISO 639-3 code where there is none."""


class ParsedDocument(msgspec.Struct):
    """A parsed document. Citations are offsets into `text`.

    `text` is Markdown unless `markdown` is False; its lines end in a bare newline. `pages` are in order, do not
    overlap, and are empty when the format has no pages.
    """

    text: str
    content_type: str
    title: str | None = None
    pages: list[PageSpan] = []
    markdown: bool = True
    properties: Properties = msgspec.field(default_factory=Properties)
    left_out: list[str] = []
    """Parts that could not be read although the document as a whole could; one sentence each."""
    stage_s: dict[str, float] = {}
    """Duration of each stage in the parser child in seconds, by stage: `parse`, `clean`."""
    sections: list[CodeSection] = []
    """Sections of code; empty for other documents."""


_LINE_ENDS = dict.fromkeys((0x85, 0x2028, 0x2029), "\n")
"""Rare line ends: of mainframes (NEL) and of Unicode."""


def normalise(text: str) -> str:
    """Unify line ends and remove NUL characters, which databases refuse. Nothing else changes."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return text if text.isascii() or not any(end in text for end in _RARE) else text.translate(_LINE_ENDS)


_RARE = ("\x85", "\u2028", "\u2029")


def decode_text(data: bytes, *, html: bool = False) -> str:
    """Decode a text file by its byte order mark, else as UTF-8, else (HTML only) as it declares, else as cp1252.

    A text that is UTF-8 but for a few bytes counts as UTF-8. Decoding never fails: when cp1252 does not define a byte,
    the whole text is read as Latin-1.
    """
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
        return normalise(mostly_utf8(data) or data.decode("utf-8", errors="replace"))
    marked = marked_encoding(data)
    if marked is not None:
        return normalise(data.decode(marked, errors="replace"))
    if (text := mostly_utf8(data)) is not None:
        return normalise(text)
    for encoding in (_declared_charset(data) if html else None, "cp1252"):
        if encoding is not None:
            try:
                return normalise(data.decode(encoding))
            except (UnicodeDecodeError, LookupError):
                continue
    return normalise(data.decode("latin-1"))


def markdown_title(text: str) -> str | None:
    """Return the title of a Markdown text: the one in its front matter, else its first level-1 heading."""
    head = text[:20_000]
    if stated := _FRONT_MATTER_TITLE.search(head):
        return stated.group(1).strip().strip("\"'").strip() or None
    heading = _FIRST_HEADING.search(head)
    return heading.group(1).rstrip(" \t#").strip("\"'").strip() or None if heading else None


def with_pages(content: str, pages: list[tuple[int, str]]) -> tuple[str, list[PageSpan]]:
    """Find each page (number, text) in the `content` of a document. Both are normalised.

    Returns: the content and the page spans. When a page does not occur in the content verbatim: the joined pages and
    their spans, or, when the pages hold less than WHOLE_SHARE of the content, the content without spans.
    """
    spans: list[PageSpan] = []
    at = 0
    bare = [(number, text.strip()) for number, text in pages]
    for number, text in bare:
        begin = content.find(text, at)
        if begin < 0:
            break
        at = begin + len(text)
        spans.append(PageSpan(number, begin, at))
    else:
        return content, spans
    if ink("".join(text for _, text in bare)) < WHOLE_SHARE * ink(content):
        return content, []
    spans, at = [], 0
    for number, text in bare:
        spans.append(PageSpan(number, at, at + len(text)))
        at += len(text) + len(_PAGE_BREAK)
    return _PAGE_BREAK.join(text for _, text in bare), spans


def ink(text: str) -> int:
    """Return the number of characters that are not white space."""
    return sum(map(len, text.split()))


def _declared_charset(data: bytes) -> str | None:
    found = _META_CHARSET.search(data[:4096])
    if found is None:
        return None
    return known_charset(found.group(1).decode("ascii"))
