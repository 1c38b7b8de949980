"""Chunking: packs whole blocks up to a token limit. Each chunk is an exact slice of the parsed text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from argosy.answering.units.builder import build_units
from argosy.answering.units.stored import packed_units
from argosy.services.documents.chunking.tables import with_table_headers
from argosy.services.documents.chunking.tokens import Tokenizer, TokenMap, splits_at_space
from argosy.services.documents.parsing.parsed import CodeSection, PageSpan, ParsedDocument
from argosy.services.documents.parsing.titles import heading_title, short_path
from argosy.text.blocks import Block, BlockKind, blocks_of

_LINE = re.compile(r"\n")
_SENTENCE = re.compile(r"[.!?…][\"'”’»)\]]*\s+|[。！？]\s*|\n[ \t]*\n")
_WORD = re.compile(r"\s+")
_SPACE = " \n\t"
"""Characters that every tokenizer treats as white space; tokenizers differ on rarer ones."""
_LEAD = re.compile(r"(?:\*\*[^*\n]++\*\*|__[^_\n]++__|`[^`\n]++`(?:[ ,|/]++`[^`\n]++`)*+):?|[^\n]*[:?：？]")
"""A paragraph of one line that says little without the block below it."""
LONGEST_LEAD_CHARS = 400
_LINES_FIRST = frozenset({BlockKind.LIST, BlockKind.CODE, BlockKind.TABLE})
FREE_CHUNKS = 64
"""Number of chunks that a document may have however small they are."""
SMALL_CHARS = 240
"""Average chunk length in characters below which a document with more than FREE_CHUNKS chunks is cut again."""
LEAST_CHARS = 600
"""Length in characters up to which sections of such a document are packed together: a chunk takes about 5 KB
besides its text."""
LEAST_SHARE = 3
"""A cut after a line or sentence is used only if it leaves the chunk at least 1/LEAST_SHARE full."""


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """Limits of a chunk.

    `tokens` is at most the model's limit without its special tokens. The first `overlap_tokens` of a chunk repeat the
    end of the previous chunk.
    """

    tokens: int = 200
    overlap_tokens: int = 0
    chars_per_token: int = 20
    """Most characters per token: a tokenizer may read a very long word as one token, and a chunk must stay quotable."""

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.chars_per_token < 1 or not 0 <= self.overlap_tokens <= self.tokens // 2:
            raise ValueError("tokens must be positive and overlap_tokens at most half of them")

    @property
    def chars(self) -> int:
        """Longest chunk in characters."""
        return self.tokens * self.chars_per_token


@dataclass(frozen=True, slots=True)
class ChunkDraft:
    """A chunk of a parsed document.

    `text` is the slice [start, end) of the parsed text, in characters; `tokens` is its length as the tokenizer counts
    it. The chunk begins on `page` and ends on `last_page`. `heading_path` is that of the chunk's beginning.
    """

    ordinal: int
    start: int
    end: int
    text: str
    heading_path: list[str]
    page: int | None
    tokens: int
    last_page: int | None = None
    units: str = ""
    """Answer units of the chunk, packed as `contracts.units` says."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block with the headings directly before it. `body` is the offset at which the block itself begins."""

    start: int
    body: int
    end: int
    kind: BlockKind
    level: int
    """Level of the highest heading in the piece, 0 without headings."""
    depth: int
    """Level of the innermost heading above the block, 0 before the first heading."""
    path: tuple[str, ...]


def cut(
    parsed: ParsedDocument, tokenizer: Tokenizer, limits: ChunkLimits | None = None
) -> tuple[ParsedDocument, list[ChunkDraft]]:
    """Apply the chunk stage: return the text to store, in which long tables repeat their header, and its chunks."""
    limits = limits or ChunkLimits()
    parsed = with_table_headers(parsed, tokenizer, limits.tokens, limits.chars)
    return parsed, with_units(parsed, chunk(parsed, tokenizer, limits))


def with_units(parsed: ParsedDocument, drafts: list[ChunkDraft]) -> list[ChunkDraft]:
    """Return the chunks with their answer units, which are built from the whole document."""
    units = build_units(parsed.text, markdown=parsed.markdown)
    packed = packed_units(parsed.text, units, [(draft.start, draft.end) for draft in drafts])
    return [replace(draft, units=own) for draft, own in zip(drafts, packed, strict=True)]


def chunk(parsed: ParsedDocument, tokenizer: Tokenizer, limits: ChunkLimits | None = None) -> list[ChunkDraft]:
    """Cut a document into chunks, in order.

    No chunk exceeds the limits, every character that is not white space is in a chunk, and a heading is in the same
    chunk as the text below it (unless the limit is too small for both). A document with very many tiny sections gets
    several sections per chunk.
    """
    limits = limits or ChunkLimits()
    packer = _Packer(parsed, tokenizer, limits)
    drafts = list(packer.drafts())
    if len(drafts) > FREE_CHUNKS and len(parsed.text) < min(SMALL_CHARS, limits.tokens) * len(drafts):
        drafts = list(packer.drafts(min(LEAST_CHARS, 3 * limits.tokens)))
    return drafts


class _Packer:
    def __init__(self, parsed: ParsedDocument, tokenizer: Tokenizer, limits: ChunkLimits) -> None:
        self._text = parsed.text
        self._pages = parsed.pages
        self._tokenizer = tokenizer
        self._trusted = splits_at_space(tokenizer)
        self._limits = limits
        if parsed.sections:
            self._pieces = list(_sections(parsed.text, parsed.sections))
            cuts = [piece.start for piece in self._pieces]
        else:
            blocks = blocks_of(parsed.text, markdown=parsed.markdown)
            self._pieces = list(_pieces(parsed.text, blocks))
            cuts = [block.start for block in blocks]
        self._tokens = TokenMap(parsed.text, cuts, tokenizer)

    def drafts(self, least: int = 0) -> Iterator[ChunkDraft]:
        """Yield the chunks in order. A heading begins a new chunk only after `least` characters."""
        ordinal = 0
        begun = ended = -1
        for start, end, path in self._spans(least):
            parts = list(self._within_limit(start, end))
            if parts and parts[0][0] < ended and (len(parts) > 1 or parts[0][0] <= begun):
                parts = list(self._within_limit(ended, end))  # drop the overlap if it would cost another chunk
            for begun, ended, tokens in parts:
                text = self._text[begun:ended]
                page, last_page = _page_at(self._pages, begun), _page_at(self._pages, ended - 1)
                yield ChunkDraft(ordinal, begun, ended, text, short_path(path), page, tokens, last_page)
                ordinal += 1

    def _spans(self, least: int) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Yield slices that fit according to the token map, each with the headings above it."""
        start = end = -1
        depth = 0
        path: tuple[str, ...] = ()
        for piece in self._pieces:
            begins = end - start >= least and self._begins_anew(piece, depth, start, end)
            if start >= 0 and self._fits(start, piece.end) and not begins:
                end, path = piece.end, path or piece.path  # text before the first heading has no path
                continue
            begin = piece.start
            if start >= 0:
                yield start, end, path
                overlap = begin if piece.level else self._overlap(start, end)
                begin = overlap if self._fits(overlap, piece.end) else begin
            start, end, path, depth = begin, piece.end, piece.path, piece.depth
            while not self._fits(start, end):
                cut = self._cut(start, end, piece.body, piece.kind, self._limits.tokens)
                yield start, cut, path
                again = self._overlap(start, cut)
                further = self._cut(again, end, again, piece.kind, self._limits.tokens)
                start = again if self._text[cut:further].strip() else cut
        if start >= 0:
            yield start, end, path

    def _fits(self, start: int, end: int) -> bool:
        return end - start <= self._limits.chars and self._tokens.count(start, end) <= self._limits.tokens

    def _begins_anew(self, piece: _Piece, depth: int, start: int, end: int) -> bool:
        """Return whether a piece begins a new chunk.

        A heading does, unless the slice before it is only the short introduction of the section that it belongs to.
        """
        if not piece.level:
            return False
        return piece.level <= depth or self._tokens.count(start, end) > self._limits.tokens // 4

    def _cut(self, start: int, end: int, body: int, kind: BlockKind, tokens: int) -> int:
        """Return where to end a chunk that begins at `start`: after a line or sentence, else a word, else a token."""
        furthest = self._tokens.reach(start, tokens, min(end, start + self._limits.chars))
        if furthest >= end:
            return end
        furthest = max(furthest, start + 1)
        least = start + (furthest - start) // LEAST_SHARE
        if body < furthest:
            least = max(least, body)
        better = (_LINE, _SENTENCE) if kind in _LINES_FIRST else (_SENTENCE,)
        for pattern in better:
            if (cut := self._last(pattern, start, furthest)) > least:
                return cut
        cut = self._last(_WORD, start, furthest)
        return cut if cut > start and self._text[start:cut].strip() else furthest

    def _last(self, pattern: re.Pattern[str], start: int, end: int) -> int:
        """Return the end of the last match in the slice, or `start`. White space right after the slice ends a word."""
        last = start
        for match in pattern.finditer(self._text, start, min(end + 1, len(self._text))):
            last = min(match.end(), end)
        return last

    def _overlap(self, start: int, end: int) -> int:
        """Return where the next chunk starts to repeat this one's end: at a sentence if possible, else at a word."""
        if not self._limits.overlap_tokens:
            return end
        floor = end - len(self._text[start:end].lstrip()) + 1
        earliest = self._tokens.back(end, self._limits.overlap_tokens, floor)
        for pattern in (_SENTENCE, _WORD):
            for match in pattern.finditer(self._text, earliest, end):
                if match.end() < end:
                    return match.end()
        return end

    def _within_limit(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the slice without surrounding white space, in several parts if the tokenizer counts it as too long."""
        waiting = [(start, end)]
        while waiting:
            start, end = waiting.pop()
            while start < end and self._text[start].isspace():
                start += 1
            while end > start and self._text[end - 1].isspace():
                end -= 1
            if start == end:
                continue
            tokens = self._exact(start, end)
            if tokens <= self._limits.tokens or end - start == 1:
                yield start, end, tokens
                continue
            known = max(2, self._tokens.count(start, end))
            cut = self._cut(start, end, start, BlockKind.PARAGRAPH, known // 2)
            cut = cut if start < cut < end else (start + end) // 2
            waiting += [(cut, end), (start, cut)]

    def _exact(self, start: int, end: int) -> int:
        """Return the number of tokens of the slice alone.

        The count comes from the token map where that is known to be equal, else from the tokenizer.
        """
        text = self._text
        if self._trusted and (start == 0 or text[start - 1] in _SPACE) and (end == len(text) or text[end] in _SPACE):
            return self._tokens.count(start, end)
        return len(self._tokenizer.encode_offsets(text[start:end]))


def _pieces(text: str, blocks: list[Block]) -> Iterator[_Piece]:
    path: list[tuple[int, str]] = []
    headings: list[Block] = []
    leads: list[Block] = []
    """Questions, terms and lead-ins that wait for the block that they belong to."""
    for block in blocks:
        if leads and (block.kind is BlockKind.HEADING or block.start - leads[0].start > LONGEST_LEAD_CHARS):
            yield _piece([*headings, *leads[:-1]], leads[-1], path)
            headings, leads = [], []
        if block.kind is BlockKind.PARAGRAPH and _leads(text, block):
            leads.append(block)
            continue
        if block.kind is BlockKind.HEADING:
            while path and path[-1][0] >= block.level:
                path.pop()
            path.append((block.level, heading_title(text, block)))
            headings.append(block)
            continue
        yield _piece([*headings, *leads], block, path)
        headings, leads = [], []
    if above := [*headings, *leads]:
        yield _piece(above, above[-1], path)


def _leads(text: str, block: Block) -> bool:
    """Return whether a paragraph belongs to the block below it: a question, a term, or a sentence with a colon."""
    return block.end - block.start <= LONGEST_LEAD_CHARS and _LEAD.fullmatch(text, block.start, block.end) is not None


def _piece(above: list[Block], block: Block, path: list[tuple[int, str]]) -> _Piece:
    """Return the piece of a block with the headings, questions and terms directly above it."""
    return _Piece(
        start=above[0].start if above else block.start,
        body=block.start,
        end=block.end,
        kind=block.kind,
        level=min((one.level for one in above if one.level), default=0),
        depth=path[-1][0] if path else 0,
        path=tuple(title for _, title in path if title),
    )


def _sections(text: str, sections: Sequence[CodeSection]) -> Iterator[_Piece]:
    """Yield a piece for each section of code that is not blank. A definition counts as a heading."""
    for section, end in zip(sections, [*(s.start for s in sections[1:]), len(text)], strict=True):
        body = text[section.start : end]
        if not body.strip():
            continue
        start = section.start + len(body) - len(body.lstrip("\n"))
        depth = max(1, len(section.path))
        yield _Piece(
            start, start, section.start + len(body.rstrip()), BlockKind.CODE, depth, depth, tuple(section.path)
        )


def _page_at(pages: list[PageSpan], start: int) -> int | None:
    at = bisect_right(pages, start, key=lambda span: span.start) - 1
    return pages[max(at, 0)].page if pages else None
