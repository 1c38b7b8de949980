"""The clean stage: removes repeated page headers and footers, page numbers, and invisible characters.

Headers, footers and page numbers are removed from PDFs only. No information is lost: the first occurrence of a repeated
line stays, and a number is removed only when it is the page number. Plain text, Markdown and JSON stay unchanged.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from argosy.services.documents.parsing.continued_tables import with_continued_headers
from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.parsing.parsed import PageSpan, ParsedDocument

EDGE_LINES = 3
"""Number of lines at the top and at the bottom of a page that may be its header and footer."""
LEAST_PAGES = 3
LEAST_SHARE = 0.6
"""Share of the pages that must repeat a line before the line counts as a header or footer."""
LONGEST_CHARS = 200
_NUMBER = re.compile(r"\d{1,6}")
_BARE = re.compile(r"[\s.\-–—|/()\[\]*_#]*\d{1,6}[\s.\-–—|/()\[\]*_#]*")
"""A line that holds only a number: "7", "- 7 -"."""
_STRUCTURE = ("|", "```", "~~~", "- ", "* ", "> ")
"""Starts of lines that carry Markdown structure and are never removed: a table header may repeat on every page."""
_UNSEEN = dict.fromkeys(
    [*(c for c in range(32) if c not in (9, 10)), 0x7F, 0xAD, 0x200B, 0x2060, 0xFEFF, *range(0x202A, 0x202F)]
)
"""Control characters, soft hyphens, zero-width spaces and marks that change the writing direction."""
_KEPT_AS_IT_IS = frozenset({Format.TEXT, Format.CODE, Format.MARKDOWN, Format.JSON})


def clean(parsed: ParsedDocument) -> ParsedDocument:
    """Apply the clean stage to a parsed document."""
    if parsed.pages and parsed.content_type == Format.PDF:
        parsed = with_continued_headers(without_furniture(parsed))
    if parsed.content_type not in _KEPT_AS_IT_IS:
        parsed = without_unseen(parsed)
    return parsed


def without_unseen(parsed: ParsedDocument) -> ParsedDocument:
    """Remove invisible characters and shift the page spans accordingly."""
    if not any(chr(code) in parsed.text for code in _UNSEEN):
        return parsed
    pieces, spans, length, at = [], [], 0, 0
    for span in parsed.pages:
        before, inside = (parsed.text[a:b].translate(_UNSEEN) for a, b in ((at, span.start), (span.start, span.end)))
        pieces += [before, inside]
        begin = length + len(before)
        length = begin + len(inside)
        spans.append(PageSpan(span.page, begin, length))
        at = span.end
    pieces.append(parsed.text[at:].translate(_UNSEEN))
    return msgspec.structs.replace(parsed, text="".join(pieces), pages=spans)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line at the top or bottom of page `page` (counted from 0). `key` is the line with each number replaced by 0."""

    page: int
    start: int
    end: int
    text: str
    key: str
    numbers: tuple[int, ...]


def without_furniture(parsed: ParsedDocument) -> ParsedDocument:
    """Remove repeated headers, footers and page numbers."""
    if len(parsed.pages) < LEAST_PAGES:
        return parsed
    doomed = sorted(_furniture(parsed.text, parsed.pages))
    if not doomed:
        return parsed
    return _without(parsed, doomed)


def _furniture(text: str, pages: Sequence[PageSpan]) -> set[tuple[int, int]]:
    """Return the slices to remove. On a short page a line may be both top and bottom line; it is examined once."""
    written = sum(1 for page in pages if text[page.start : page.end].strip())
    needed = max(LEAST_PAGES, LEAST_SHARE * written)
    alike: defaultdict[str, dict[int, _Line]] = defaultdict(dict)
    seen_on: defaultdict[tuple[str, bool], set[int]] = defaultdict(set)
    for number, page in enumerate(pages):
        for top in (True, False):
            for line in _edge(text, number, page, top=top):
                alike[line.key][line.start] = line
                seen_on[line.key, top].add(number)
    doomed: set[tuple[int, int]] = set()
    for key, lines in alike.items():
        if max(len(seen_on[key, True]), len(seen_on[key, False])) >= needed:
            doomed.update((line.start, line.end) for line in _repeated([lines[at] for at in sorted(lines)]))
    return doomed


def _edge(text: str, number: int, page: PageSpan, *, top: bool) -> Iterator[_Line]:
    """Return the first or last non-blank lines of a page that may be a header or footer."""
    found: list[_Line] = []
    start, end = page.start, page.end
    while start < end and len(found) < EDGE_LINES:
        if top:
            cut = text.find("\n", start, end)
            line_start, line_end = start, end if cut < 0 else cut
            start = line_end + 1
        else:
            line_start, line_end = text.rfind("\n", start, end) + 1 or start, end
            end = line_start - 1
        words = " ".join(text[line_start:line_end].split())
        if not words:
            continue
        key = _NUMBER.sub("0", words)
        found.append(_Line(number, line_start, line_end, words, key, tuple(map(int, _NUMBER.findall(words)))))
    return (line for line in found if len(line.text) <= LONGEST_CHARS and not _is_structure(line.text))


def _is_structure(line: str) -> bool:
    return line.startswith(_STRUCTURE) and not _BARE.fullmatch(line)


def _repeated(lines: Sequence[_Line]) -> Iterator[_Line]:
    """Return the redundant lines among lines that are equal except for their numbers.

    A line is redundant when it repeats an earlier line word for word or differs from earlier ones only in its page
    number.
    """
    counting = _counting(lines)
    seen: set[tuple[str, ...]] = set()
    for line in lines:
        counts_pages = counting is not None and line.numbers[counting.at] - line.page == counting.offset
        stripped = tuple(str(n) for at, n in enumerate(line.numbers) if counting is None or at != counting.at)
        said = stripped if counts_pages else (line.text,)
        if said in seen or (counts_pages and _BARE.fullmatch(line.text)):
            yield line
        seen.add(said)


@dataclass(frozen=True, slots=True)
class _Counting:
    """Page numbering of similar lines: number `at` of each line is the index of its page plus `offset`."""

    at: int
    offset: int


def _counting(lines: Sequence[_Line]) -> _Counting | None:
    """Return which number of the lines is the page number, or None when none is."""
    for at in range(min(len(line.numbers) for line in lines)):
        [(offset, count)] = Counter(line.numbers[at] - line.page for line in lines).most_common(1)
        if count >= max(LEAST_PAGES, LEAST_SHARE * len(lines)):
            return _Counting(at, offset)
    return None


def _without(parsed: ParsedDocument, doomed: Sequence[tuple[int, int]]) -> ParsedDocument:
    """Remove the slices from each page, with the white space at the page's ends and the gaps that they leave."""
    texts = []
    for page in parsed.pages:
        at, kept = page.start, []
        first, after = (bisect_left(doomed, (place, 0)) for place in (page.start, page.end))
        for start, end in doomed[first:after]:
            kept.append(parsed.text[at:start])
            at = end
        kept.append(parsed.text[at : page.end])
        text = "".join(kept)
        texts.append(re.sub(r"\n{3,}", "\n\n", text).strip() if len(kept) > 1 else text)
    spans, length = [], 0
    for page, text in zip(parsed.pages, texts, strict=True):
        spans.append(PageSpan(page.page, length, length + len(text)))
        length += len(text) + 2
    return msgspec.structs.replace(parsed, text="\n\n".join(texts), pages=spans)
