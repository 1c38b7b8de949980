"""Markdown's block structure as slices of the text, so that chunking can keep each block together."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from argosy.services.documents.parsing.titles import MAX_TITLE_CHARS, shortened


class BlockKind(enum.Enum):
    """Kinds of Markdown blocks."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    CODE = "code"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Block:
    """A block: the slice [start, end) of the text, in characters, without the blank lines around it."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    """Heading level, 1 to 6; 0 for other blocks."""
    title: str = ""
    """Text of a heading without its markup; empty for other blocks."""


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str


_READ_CHARS = 2 * MAX_TITLE_CHARS
"""Characters of a heading, markup included, from which its title is read. The text keeps the whole heading."""
# Lines may be megabytes long and hostile: no pattern may backtrack over the same characters.
_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
_DELIMITER_ROW = re.compile(r"[ \t]*+(?:\|[ \t]*+)?:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+(?:\|[ \t]*+)?$")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1")


def split_blocks(text: str, *, markdown: bool = True) -> list[Block]:
    """Split the text into blocks, in order. Plain text has paragraphs only.

    Every character outside the blocks is white space.
    """
    lines = list(_lines(text))
    blocks: list[Block] = []
    at = 0
    while at < len(lines):
        if not lines[at].text.strip():
            at += 1
            continue
        kind, after, level, title = _block_at(lines, at) if markdown else (*_until_blank(lines, at), 0, "")
        last = after - 1
        while not lines[last].text.strip():
            last -= 1
        blocks.append(Block(kind, lines[at].start, lines[last].end, level, title))
        at = after
    return blocks


def _lines(text: str) -> Iterator[_Line]:
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield _Line(start, end, text[start:end])
        start = end + 1


def _block_at(lines: list[_Line], at: int) -> tuple[BlockKind, int, int, str]:
    """Return the kind of the block that begins at line `at`, the line after it, and a heading's level and title."""
    text = lines[at].text
    if heading := _ATX.match(text):
        return BlockKind.HEADING, at + 1, len(heading.group(1)), _plain(_unclosed(text[heading.end() :]))
    if fence := _FENCE.match(text):
        return BlockKind.CODE, _after_fence(lines, at, fence.group(1)), 0, ""
    if _is_table(lines, at):
        return BlockKind.TABLE, _after_rows(lines, at), 0, ""
    if _ITEM.match(text):
        return BlockKind.LIST, _after_list(lines, at), 0, ""
    return _paragraph(lines, at)


def _paragraph(lines: list[_Line], at: int) -> tuple[BlockKind, int, int, str]:
    """Read a paragraph, or a heading if the paragraph is underlined with = or -."""
    after = at + 1
    while after < len(lines) and lines[after].text.strip():
        underline = _SETEXT.match(lines[after].text)
        if underline:
            title = " ".join(line.text.strip() for line in lines[at:after])
            return BlockKind.HEADING, after + 1, 1 if underline.group(1)[0] == "=" else 2, _plain(title)
        if _interrupts(lines, after):
            break
        after += 1
    return BlockKind.PARAGRAPH, after, 0, ""


def _interrupts(lines: list[_Line], at: int) -> bool:
    text = lines[at].text
    return bool(_ATX.match(text) or _FENCE.match(text) or _ITEM.match(text)) or _is_table(lines, at)


def _is_table(lines: list[_Line], at: int) -> bool:
    if "|" not in lines[at].text or at + 1 == len(lines):
        return False
    below = lines[at + 1].text
    return "|" in below and _DELIMITER_ROW.match(below) is not None


def _after_rows(lines: list[_Line], at: int) -> int:
    after = at + 2
    while after < len(lines) and "|" in lines[after].text:
        after += 1
    return after


def _after_fence(lines: list[_Line], at: int, mark: str) -> int:
    """Return the line after a fenced block: a line of at least as many fence marks ends it, or the end of the text."""
    closing = re.compile(rf" {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*$")
    for after in range(at + 1, len(lines)):
        if closing.match(lines[after].text):
            return after + 1
    return len(lines)


def _after_list(lines: list[_Line], at: int) -> int:
    """Return the line after a list. Single blank lines do not end it if the next line is an item or indented."""
    after = at + 1
    while after < len(lines):
        text = lines[after].text
        if not text.strip():
            following = lines[after + 1].text if after + 1 < len(lines) else ""
            if not (_ITEM.match(following) or (following.strip() and following.startswith(("  ", "\t")))):
                break
        elif not text.startswith(("  ", "\t")) and not _ITEM.match(text) and _interrupts(lines, after):
            break
        after += 1
    return after


def _until_blank(lines: list[_Line], at: int) -> tuple[BlockKind, int]:
    after = at + 1
    while after < len(lines) and lines[after].text.strip():
        after += 1
    return BlockKind.PARAGRAPH, after


def _unclosed(heading: str) -> str:
    """Remove the closing # marks of a heading."""
    words = heading.strip(" \t")
    inner = words.rstrip("#")
    return inner.rstrip(" \t") if not inner or inner[-1] in " \t" else words


def _plain(title: str) -> str:
    words = _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", title[:_READ_CHARS])).strip()
    return shortened(words if len(title) <= _READ_CHARS else words + " " * MAX_TITLE_CHARS)
