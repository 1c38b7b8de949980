"""Block structure of Markdown as exact slices of the text, read by the block rules of markdown-it.

Inline markup is not parsed. Link reference definitions stay paragraphs, so that every character that is not white space
belongs to a block.
"""

from __future__ import annotations

import enum
import re
from bisect import bisect_right
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

MAX_NESTING = 60
"""Deepest nesting of lists and quotes, counted as markdown-it does (2 per list). Deeper text stays in its container."""
MAX_CELLS = 1_000
"""Largest number of cells in a row. A longer row has its remaining text in the last cell."""


class BlockKind(enum.Enum):
    """Kinds of blocks."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    ITEM = "item"
    TABLE = "table"
    CODE = "code"
    QUOTE = "quote"
    HTML = "html"
    RULE = "rule"
    FRONT_MATTER = "front matter"


@dataclass(frozen=True, slots=True)
class Row:
    """Row of a table: the slice [start, end) of the text, and the slices of its cells without white space around."""

    start: int
    end: int
    cells: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Block of a text: the slice [start, end), in characters, without the blank lines around it."""

    kind: BlockKind
    start: int
    end: int
    body: int = 0
    """Offset at which the words begin: after the marker of an item or heading, else `start`."""
    body_end: int = 0
    """Offset at which the words end: before the closing marks of a heading, else `end`."""
    level: int = 0
    """Level of a heading, 1 to 6; 0 for other blocks."""
    children: tuple[Block, ...] = ()
    """Items of a list; blocks of an item or a quote."""
    rows: tuple[Row, ...] = ()
    """Rows of a table; the first is the header. The delimiter row is left out."""


_RULES = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable("table").disable("reference")
# Lines may be megabytes long and hostile: no pattern may backtrack over the same characters.
_MARKER = re.compile(r"(?:[-*+]|\d{1,9}[.)])[ \t]*")
_INDENT = re.compile(r"[ \t]*")
_PREFIX = re.compile(r"[ \t>]*")
_HASHES = re.compile(r"[ \t]*#{1,6}[ \t]*")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?:(?!---[ \t]*(?:\n|\Z)).*+\n){1,200}+---[ \t]*(?=\n|\Z)")


def markdown_blocks(text: str) -> list[Block]:
    """Return the blocks of a Markdown text in order. Lines end in a bare newline.

    Every character outside the blocks is white space. The time is linear in the length of the text.
    """
    found: list[Block] = []
    body = text
    front = _FRONT_MATTER.match(text)
    if front is not None:
        found.append(_plain(BlockKind.FRONT_MATTER, 0, front.end()))
        body = re.sub(r"[^\n]", " ", front[0]) + text[front.end() :]
    tokens: list[Token] = []
    if body.strip():
        _RULES.block.parse(body, _RULES, {}, tokens)
    return [*found, *_Reader(body, tokens).blocks(0, 0, len(body), False)]


def plain_blocks(text: str) -> list[Block]:
    """Return the paragraphs of a text that is not Markdown: its parts between blank lines."""
    found: list[Block] = []
    begin = end = -1
    at = 0
    while at < len(text):
        after = text.find("\n", at)
        after = len(text) if after < 0 else after
        if text[at:after].strip():
            begin, end = (at if begin < 0 else begin), after
        elif begin >= 0:
            found.append(_plain(BlockKind.PARAGRAPH, begin, end))
            begin = -1
        at = after + 1
    if begin >= 0:
        found.append(_plain(BlockKind.PARAGRAPH, begin, end))
    return found


def blocks_of(text: str, *, markdown: bool) -> list[Block]:
    """Return the blocks of a text, which is Markdown or plain."""
    return markdown_blocks(text) if markdown else plain_blocks(text)


def split_cells(text: str, start: int, end: int) -> tuple[tuple[int, int], ...]:
    r"""Return the slices of the cells of the table row [start, end). An escaped `\|` does not end a cell."""
    start, end = _bare(text, start, end)
    if start < end and text[start] == "|":
        start += 1
    cells: list[tuple[int, int]] = []
    begin = at = start
    while len(cells) < MAX_CELLS - 1:
        at = text.find("|", at, end)
        if at < 0:
            break
        if at == start or text[at - 1] != "\\":
            cells.append(_bare(text, begin, at))
            begin = at + 1
        at += 1
    if begin < end:
        cells.append(_bare(text, begin, end))
    return tuple(cells)


def _plain(kind: BlockKind, start: int, end: int) -> Block:
    return Block(kind, start, end, start, end)


def _bare(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the slice without the white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


class _Reader:
    """Reader of markdown-it's flat list of tokens, which hold line numbers and no offsets."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0
        self._lines = [0]
        at = text.find("\n")
        while at >= 0:
            self._lines.append(at + 1)
            at = text.find("\n", at + 1)

    def blocks(self, level: int, start: int, end: int, quoted: bool) -> list[Block]:
        """Read the tokens up to the end of their container, whose words are the slice [start, end)."""
        found: list[Block] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.nesting < 0 and token.level <= level - 1:
                break
            self._at += 1
            if token.nesting < 0 or token.map is None:
                continue
            begin, until = self._span(token.map, start, end, quoted)
            if begin < until:
                found += self._block(token, begin, until, quoted)
        return found

    def _span(self, lines: list[int], start: int, end: int, quoted: bool) -> tuple[int, int]:
        """Return the slice of the lines within [start, end), without blank lines and the container's marks."""
        begin = max(self._lines[lines[0]], start)
        after = self._lines[lines[1]] if lines[1] < len(self._lines) else len(self._text)
        after = min(after, end)
        while after > begin and self._text[after - 1].isspace():
            after -= 1
        if begin > self._lines[lines[0]] or quoted or start > 0:
            pattern = _PREFIX if quoted else _INDENT
            inner = pattern.match(self._text, begin)
            begin = min(inner.end(), after) if inner else begin
        return begin, after

    def _block(self, token: Token, start: int, end: int, quoted: bool) -> list[Block]:
        kind = token.type
        if kind == "heading_open":
            inline = self._skip_to("heading_close")
            return [self._heading(token, inline, start, end)]
        if kind == "paragraph_open":
            self._skip_to("paragraph_close")
            return [_plain(BlockKind.PARAGRAPH, start, end)]
        if kind == "table_open":
            self._skip_to("table_close")
            return self._table(start, end, quoted)
        if kind in ("bullet_list_open", "ordered_list_open"):
            items = self.blocks(token.level + 1, start, end, quoted)
            return [Block(BlockKind.LIST, start, end, start, end, children=tuple(items))]
        if kind == "list_item_open":
            marker = _MARKER.match(self._text, start, end)
            body = marker.end() if marker else start
            children = self.blocks(token.level + 1, body, end, quoted)
            return [Block(BlockKind.ITEM, start, end, body, end, children=tuple(children))]
        if kind == "blockquote_open":
            children = self.blocks(token.level + 1, start, end, True)
            return [Block(BlockKind.QUOTE, start, end, start, end, children=tuple(children))]
        kinds = {"fence": BlockKind.CODE, "code_block": BlockKind.CODE, "html_block": BlockKind.HTML}
        return [_plain(kinds.get(kind, BlockKind.RULE), start, end)]

    def _skip_to(self, kind: str) -> str:
        """Go on to the token after the next one of this kind. Returns: the first inline text before it."""
        content = ""
        while self._tokens[self._at].type != kind:
            content = content or self._tokens[self._at].content
            self._at += 1
        self._at += 1
        return content

    def _heading(self, token: Token, inline: str, start: int, end: int) -> Block:
        body, body_end = start, end
        if token.markup.startswith("#"):
            hashes = _HASHES.match(self._text, start, end)
            body = hashes.end() if hashes else start
            body_end = min(body + len(inline), end)
        else:  # the last line is the underline
            body_end = max(self._text.rfind("\n", start, end), start)
        body, body_end = _bare(self._text, body, body_end)
        return Block(BlockKind.HEADING, start, end, body, body_end, level=int(token.tag[1]))

    def _table(self, start: int, end: int, quoted: bool) -> list[Block]:
        """Return the table; lines below its rows that hold no `|` are a paragraph."""
        rows: list[Row] = []
        last = end
        line = bisect_right(self._lines, start) - 1
        first = line
        while line < len(self._lines) and self._lines[line] < end:
            begin = max(self._lines[line], start)
            until = min(self._lines[line + 1] - 1 if line + 1 < len(self._lines) else len(self._text), end)
            if line != first + 1:
                if self._text.find("|", begin, until) < 0:
                    last = begin
                    break
                if quoted and begin > start:
                    inner = _PREFIX.match(self._text, begin, until)
                    begin = inner.end() if inner else begin
                cells = split_cells(self._text, begin, until)
                rows.append(Row(*_bare(self._text, begin, until), cells))
            line += 1
        table_end = _bare(self._text, start, last)[1]
        found = [Block(BlockKind.TABLE, start, table_end, start, table_end, rows=tuple(rows))]
        rest = _bare(self._text, last, end)
        if rest[0] < rest[1]:
            found.append(_plain(BlockKind.PARAGRAPH, *rest))
        return found
