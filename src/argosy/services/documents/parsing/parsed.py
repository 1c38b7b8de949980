"""What parsing a document yields, and the repairs every text goes through."""

from __future__ import annotations

import codecs
import re

import msgspec

from argosy.services.documents.parsing.charsets import known_charset
from argosy.services.documents.parsing.wide_text import marked_encoding

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_FRONT_MATTER_TITLE = re.compile(r"\A---\n(?:(?!---\n|title:).*+\n)*+title:[ \t]*+(.++)\n")
_PAGE_BREAK = "\n\n"
WHOLE_SHARE = 0.95
"""Pages that hold less of a document than this are not all of it."""
_FIRST_HEADING = re.compile(r"^ {0,3}#[ \t]+(\S.*)$", re.MULTILINE)


class PageSpan(msgspec.Struct, array_like=True):
    """Page `page` (from 1) is the slice [start, end) of the text, in characters."""

    page: int
    start: int
    end: int


class Properties(msgspec.Struct):
    """What a document says about itself, and the language it was found to be in."""

    author: str | None = None
    created: str | None = None
    """Dates are ISO 8601, as far as the document gives them so."""
    modified: str | None = None
    language: str | None = None
    """ISO 639: two letters where there are two, else three."""


class ParsedDocument(msgspec.Struct):
    """`text` is what citations point into: Markdown unless `markdown` is False, lines end in a bare newline.

    `pages` are in order, do not overlap, and are empty where the format has none.
    """

    text: str
    content_type: str
    title: str | None = None
    pages: list[PageSpan] = []
    markdown: bool = True
    properties: Properties = msgspec.field(default_factory=Properties)
    left_out: list[str] = []
    """Parts that could not be read although the document as a whole could, a sentence each."""
    stage_s: dict[str, float] = {}
    """Seconds that each stage took inside the parser child, by its name: `parse`, `clean`."""


def normalise(text: str) -> str:
    """One kind of line end, and no NUL, which databases refuse. Nothing else changes."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def decode_text(data: bytes, *, html: bool = False) -> str:
    """The characters of a text file: by its byte order mark, else UTF-8, else (HTML only) as it declares, else cp1252.

    Never fails; a byte that cp1252 does not know is read as Latin-1.
    """
    marked = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else marked_encoding(data)
    if marked is not None:
        return normalise(data.decode(marked, errors="replace"))
    for encoding in ("utf-8", _declared_charset(data) if html else None, "cp1252"):
        if encoding is not None:
            try:
                return normalise(data.decode(encoding))
            except (UnicodeDecodeError, LookupError):
                continue
    return normalise(data.decode("latin-1"))


def markdown_title(text: str) -> str | None:
    """The title that a Markdown text gives itself: in its front matter, else its first top heading."""
    head = text[:20_000]
    if stated := _FRONT_MATTER_TITLE.search(head):
        return stated.group(1).strip().strip("\"'").strip() or None
    heading = _FIRST_HEADING.search(head)
    return heading.group(1).rstrip(" \t#").strip("\"'").strip() or None if heading else None


def with_pages(content: str, pages: list[tuple[int, str]]) -> tuple[str, list[PageSpan]]:
    """Finds each page (number, text) in the `content` of a document. Both are normalised.

    Returns: the content and its spans; when a page is not in there as it is, the pages joined and their spans,
    unless they hold far less than the content: then no spans.
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
    """Characters that are not white space."""
    return sum(map(len, text.split()))


def _declared_charset(data: bytes) -> str | None:
    found = _META_CHARSET.search(data[:4096])
    if found is None:
        return None
    return known_charset(found.group(1).decode("ascii"))
