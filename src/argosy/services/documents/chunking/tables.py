"""Splitting of tables that are too long for one chunk. Each part repeats the header, so that its columns have names.

The text is changed before it is cut, and the changed text is stored, so a quote stays an exact slice of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate

import msgspec

from argosy.services.documents.chunking.tokens import Tokenizer
from argosy.services.documents.parsing.parsed import PageSpan, ParsedDocument
from argosy.text.blocks import Block, BlockKind, markdown_blocks


def with_table_headers(parsed: ParsedDocument, tokenizer: Tokenizer, tokens: int, chars: int) -> ParsedDocument:
    """Repeat the header rows in every part of a table that exceeds `tokens` or `chars`.

    A header that takes more than half of either limit is not repeated, because it would leave no room for rows.
    """
    if not parsed.markdown or "|" not in parsed.text:
        return parsed
    inserts: list[tuple[int, str]] = []
    lead = -1
    for block in markdown_blocks(parsed.text):
        if block.kind is BlockKind.TABLE:
            inserts += _inserts(parsed.text, block.start if lead < 0 else lead, block, tokenizer, tokens, chars)
        if block.kind is not BlockKind.HEADING:
            lead = -1
        elif lead < 0:
            lead = block.start
    if not inserts:
        return parsed
    return msgspec.structs.replace(parsed, text=_inserted(parsed.text, inserts), pages=_moved(parsed.pages, inserts))


def _inserts(
    text: str, lead: int, block: Block, tokenizer: Tokenizer, tokens: int, chars: int
) -> Iterator[tuple[int, str]]:
    """Yield offset and text of each header to insert. Headings from `lead` on belong to the first part."""
    if block.end - lead <= min(tokens, chars):  # no tokenizer makes more tokens than characters
        return
    starts = [lead + start for start, _ in tokenizer.encode_offsets(text[lead : block.end])]

    def count(start: int, end: int) -> int:
        return bisect_left(starts, end) - bisect_left(starts, start)

    rows = text[block.start : block.end].split("\n")
    head = "\n".join(rows[:2]) + "\n"
    body = block.start + len(head)
    head_tokens = count(block.start, body)
    if 2 * head_tokens > tokens or 2 * len(head) > chars:
        return
    begin, used_tokens, used_chars, fresh = body, count(lead, body), body - lead, True
    for row in rows[2:]:
        after = begin + len(row) + 1
        cost = count(begin, after)
        if not fresh and (used_tokens + cost > tokens or used_chars + after - begin > chars):
            yield begin, "\n" + head
            used_tokens, used_chars = head_tokens, len(head)
        used_tokens, used_chars, fresh = used_tokens + cost, used_chars + after - begin, False
        begin = after


def _inserted(text: str, inserts: list[tuple[int, str]]) -> str:
    out, at = [], 0
    for place, words in inserts:
        out += [text[at:place], words]
        at = place
    return "".join([*out, text[at:]])


def _moved(pages: list[PageSpan], inserts: list[tuple[int, str]]) -> list[PageSpan]:
    places = [place for place, _ in inserts]
    added = [0, *accumulate(len(words) for _, words in inserts)]
    return [
        PageSpan(
            page.page,
            page.start + added[bisect_right(places, page.start)],
            page.end + added[bisect_left(places, page.end)],
        )
        for page in pages
    ]
