"""Readability of an answer: plain text without left-over markup, in whole sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from argosy.contracts.generation import Citation
from argosy.evaluation.citations import Stored
from argosy.evaluation.texts import statements

MIN_SENTENCE_WORDS = 5
"""Number of words from which a line without a label counts as a sentence. Shorter ones are values or names."""
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$")
_TAGS = (
    "a abbr b blockquote br center code col dd del details div dl dt em font footer form h1 h2 h3 h4 h5 h6 head header "
    "hr html i iframe img input kbd li link mark meta nav ol p pre s samp script section small span strong style sub "
    "summary sup table tbody td tfoot th thead tr u ul var"
)
MARKUP: Mapping[str, re.Pattern[str]] = {
    "a link": re.compile(r"\]\([^()\n]*\)|\]\[[^\]\n]*\]|<https?://"),
    "a permalink sign": re.compile("¶"),
    "bold marks": re.compile(
        r"(?<!\w)\*\*[^\s*][^*\n]*\*\*(?!\w)|__[^\W_][^_\n]*__(?!\w)|(?<=\w[.,:;)])\*\*(?!\w)|(?:^|\s)\*\*(?=\s|$)"
    ),
    "a heading mark": re.compile(r"(?m)^\s{0,3}#{1,6}\s+\S"),
    "an HTML tag": re.compile(rf"</?(?:{'|'.join(_TAGS.split())})(?:\s[^<>\n]*)?/?>", re.IGNORECASE),
    "an HTML entity": re.compile(r"&(?:[a-z]{2,8}|#\d{2,6}|#x[0-9a-f]{2,6});", re.IGNORECASE),
    "an escaped character": re.compile(r"\\[_*\[\]()#|<>~`]"),
    "an image": re.compile(r"!\[[^\]\n]*\]"),
}
_BAR = re.compile(r"(?:^|\s)\|(?:\s|$)")
_ITEM = re.compile(r"^\s*(?:[-*+•–]|\d{1,3}[.)]|[a-z][.)])\s+")
_LABEL = re.compile(r"^[^\n.!?]{1,60}?[:=–—]\s")
_END = re.compile(r"[.!?…:;。！？：；।؟][\"'”’»)\]」』）*_]*$|[\"”»)\]」』）]$")
_CUT = re.compile(r"(?:,|\b(?:the|a|an|of|and|or|to|in|with|for|by|from|that|which|is|are|at|on|as))$", re.IGNORECASE)
_FIRST_WORD = re.compile(r"[\"'“‘«(\[]*([^\W\d_]+)(?=[\s,])")
_SENTENCE_BEFORE = re.compile(r"(?:^|[\n.!?…:;|。！？>•\-–—][\"'”’»)\]*_]*)\s*$")


def readability_faults(
    answer: str, citations: Sequence[Citation] = (), stored: Mapping[str, Sequence[Stored]] | None = None
) -> list[str]:
    """Return what makes the answer hard to read: markup, or broken sentences. Code blocks are not judged.

    Where `stored` has the text around a quote, it decides whether a sentence was cut.
    """
    prose = "\n".join(_outside_code(answer))
    bare = _INLINE_CODE.sub("code", prose)
    faults = [f"{what}: {_short(found[0])}" for what, pattern in MARKUP.items() if (found := pattern.search(bare))]
    if (row := _stray_bar(bare)) is not None:
        faults.append(f"a bar outside of a table: {_short(row)}")
    by_index = {citation.index: citation for citation in citations}
    for text, numbers in statements(answer):
        cited = [by_index[number] for number in numbers if number in by_index]
        around = [(c, stored.get(c.document_id, ()) if stored else ()) for c in cited]
        faults += _broken(text, around)
    return list(dict.fromkeys(faults))


def _broken(text: str, around: Sequence[tuple[Citation, Sequence[Stored]]]) -> Iterator[str]:
    """Yield the faults of the first and the last line of a statement."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or any(_FENCE.match(line) for line in lines):
        return
    first, last = lines[0], lines[-1]
    if _is_sentence(first) and (word := _FIRST_WORD.match(first)) and word[1].islower():
        before = [part for citation, parts in around if (part := _text_before(first, citation, parts)) is not None]
        if not any(_SENTENCE_BEFORE.search(part) for part in before):
            yield f"begins inside a sentence: {_short(first)}"
    if _is_sentence(last) and not _END.search(last):
        after = [part for citation, parts in around if (part := _text_after(last, citation, parts)) is not None]
        ends_line = any(not part.strip(" \t*_") or part.lstrip(" \t*_")[0] in "\n|" for part in after)
        if _CUT.search(last) or not ends_line:
            yield f"ends inside a sentence: {_short(last)}"


def _is_sentence(line: str) -> bool:
    """Return whether a line is prose: not a list item, a row, a labelled value or a few words."""
    if line.startswith("|") or _ITEM.match(line) or _LABEL.match(line):
        return False
    return len(line.split()) >= MIN_SENTENCE_WORDS


def _text_before(line: str, citation: Citation, stored: Sequence[Stored]) -> str | None:
    """Return the stored text before the line, or None when the line does not stand in what is known."""
    for part in _overlapping(citation, stored):
        if (at := part.text.find(line)) >= 0:
            return part.text[max(0, at - 40) : at]
    return None


def _text_after(line: str, citation: Citation, stored: Sequence[Stored]) -> str | None:
    for part in _overlapping(citation, stored):
        if (at := part.text.find(line)) >= 0:
            return part.text[at + len(line) : at + len(line) + 40]
    return None


def _overlapping(citation: Citation, stored: Sequence[Stored]) -> list[Stored]:
    return [part for part in stored if part.start < citation.end and citation.start < part.end]


def _outside_code(answer: str) -> Iterator[str]:
    fence = ""
    for line in answer.splitlines():
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence):
                fence = ""
            continue
        if mark:
            fence = mark[1]
            continue
        yield line


def _stray_bar(text: str) -> str | None:
    """Return the first line with a bar that is no row of a table: a table has a rule below its heading."""
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        if _BAR.search(line) or ("|" in line and _TABLE_RULE.match(line)):
            block.append(line)
            continue
        if block and not (len(block) > 1 and _TABLE_RULE.match(block[1])):
            return block[0]
        block = []
    return None


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= 60 else flat[:59] + "…")
