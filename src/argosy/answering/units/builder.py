"""Answer units of a document, read block by block.

A sentence alone is often not an answer, so each unit keeps the words that it needs to be understood: headings, lead-in,
term, header row, the sentence that it refers back to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from argosy.answering.units import lists, prose, tables
from argosy.answering.units.drafts import DraftUnit, Lead, Section
from argosy.contracts.units import UnitFlag, UnitKind
from argosy.text.blocks import Block, BlockKind, blocks_of, markdown_blocks
from argosy.text.markup import link_share, readable, visible
from argosy.text.sentences import sentence_spans

MAX_DEFINITION_WORDS = 60
MAX_CODE_LINES = 15
MAX_UNIT_CHARS = 2_500
"""Longest unit. A sentence without an end, such as a long line of data, is cut here."""
MAX_CONTEXT_CHARS = 300
QUESTION_LEVEL, CAPTION_LEVEL = 9, 8
"""Levels of questions and of lines in bold that act as headings: below the real ones."""
_ONLY_MARKS = re.compile(r"[-_*\s|.=]{0,200}+\Z|\[ \]\Z")
_TAG = re.compile(r"<[^<>]{0,500}>")


class Builder:
    """Builder of the units of one document."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.units: list[DraftUnit] = []
        self._path: list[tuple[int, str]] = []
        self._section = Section(0)
        self._sections = 1
        self._lead: Lead | None = None
        self._term = ""
        self._pending: tuple[str, int] | None = None
        self._header: tuple[str, ...] = ()
        self._flags = UnitFlag(0)

    def read(self, blocks: Sequence[Block]) -> None:
        """Add the units of the blocks, in order."""
        for place, block in enumerate(blocks):
            if block.kind is BlockKind.HEADING:
                self._begin_section(block.level, self._words(block.body, block.body_end))
            elif block.kind is BlockKind.PARAGRAPH:
                self._paragraph(block)
            elif block.kind is BlockKind.LIST:
                self._list(block)
            elif block.kind is BlockKind.TABLE:
                self._table(block)
            elif block.kind is BlockKind.QUOTE:
                self._quote(block)
            elif block.kind is BlockKind.CODE:
                self._code(block, blocks[place - 1] if place else None)
            elif block.kind is BlockKind.HTML:
                self._html(block)
            elif block.kind is BlockKind.FRONT_MATTER:
                self._pairs(block.start, block.end)

    def _words(self, start: int, end: int) -> str:
        return readable(self._text[start:end])[:MAX_CONTEXT_CHARS].replace("`", "")

    def _begin_section(self, level: int, title: str) -> None:
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        if title:
            self._path.append((level, title))
        self._new_section()

    def _new_section(self) -> None:
        self._section = Section(self._sections, tuple(title for _, title in self._path))
        self._sections += 1
        self._lead, self._term, self._pending = None, "", None

    def _add(self, kind: UnitKind, start: int, end: int, body: int = -1, text: str = "", lead: str = "") -> DraftUnit:
        unit = DraftUnit(
            kind,
            start,
            min(end, start + MAX_UNIT_CHARS),
            self._section,
            self._section.blocks,
            body,
            flags=self._flags,
            lead=lead[:MAX_CONTEXT_CHARS],
            term=self._term[:MAX_CONTEXT_CHARS],
            text=text,
        )
        self.units.append(unit)
        return unit

    def _sentences(self, start: int, end: int, lead: str = "") -> None:
        """Add the sentences of a paragraph and remember the last one, which may lead in the next block."""
        last: Lead | None = None
        for begin, until in sentence_spans(self._text, start, end):
            unit = self._add(UnitKind.SENTENCE, begin, until, lead=lead)
            words = readable(self._text[begin : min(until, begin + MAX_UNIT_CHARS)])
            if last is not None and prose.REFERS_BACK.match(words):
                unit.previous = last.text[:MAX_CONTEXT_CHARS]
            last = Lead(begin, until, words)
        self._lead = last

    def _paragraph(self, block: Block) -> None:
        raw = self._text[block.start : block.end]
        if _ONLY_MARKS.match(raw) or (link_share(raw) >= 0.8 and len(readable(raw).split()) <= 12):
            self._lead = None
            return
        if prose.is_question(raw):
            self._begin_section(QUESTION_LEVEL, prose.question_words(raw))
            return
        if len(raw) <= 100 and "\n" not in raw and raw.isupper() and len(raw.split()) > 1 and raw[-1] not in ".!:":
            self._begin_section(CAPTION_LEVEL - 1, readable(raw))
            return
        bold = prose.BOLD_LINE.match(raw)
        if bold is not None:
            self._begin_section(CAPTION_LEVEL, readable(bold[2]).rstrip(":"))
            return
        asked = prose.asked_within(raw)
        if asked is not None:
            self._begin_section(QUESTION_LEVEL, asked.question)
            self._prose(Block(block.kind, block.start + asked.answer, block.end))
            self._begin_section(QUESTION_LEVEL, "")
            return
        start = block.start + (prose.after_answer_label(raw) if self._path and self._path[-1][0] >= 2 else 0)
        if lists.holds_list(raw):
            inner = markdown_blocks(lists.with_dashes(self._text[start : block.end]))
            if any(part.kind is BlockKind.LIST for part in inner):
                self.read([_moved(part, start) for part in inner])
                return
        self._prose(Block(block.kind, start, block.end))

    def _prose(self, block: Block) -> None:
        start, end = block.start, block.end
        lines = self._text[start:end].split("\n")
        terms = prose.term_lines(lines)
        body = start + sum(len(line) + 1 for line in lines[:terms])
        if terms and terms == len(lines):
            self._pending = (prose.term_words(lines), start)
            return
        if terms:
            self._definition(prose.term_words(lines[:terms]), start, body, end)
        elif self._pending is not None:
            term, start = self._pending
            self._definition(term, start, body, end)
        elif prose.pair_lines(self._text[start:end]):
            self._pairs(start, end)
        else:
            self._sentences(start, end)
        self._pending = None
        self._section.blocks += 1

    def _definition(self, term: str, start: int, body: int, end: int) -> None:
        """Add a term with its first sentences, and every sentence about it."""
        self._term = term[:MAX_CONTEXT_CHARS]
        spans = list(sentence_spans(self._text, body, end))
        until, words = body, 0
        for _, last in spans:
            count = len(self._text[until:last].split())
            if words and words + count > MAX_DEFINITION_WORDS:
                break
            until, words = last, words + count
        self._add(UnitKind.DEFINITION, start, until, body)
        before = ""
        for begin, last in spans:
            if begin >= until or len(spans) > 1:
                unit = self._add(UnitKind.SENTENCE if begin >= until else UnitKind.DETAIL, begin, last)
                words_here = readable(self._text[begin : min(last, begin + MAX_UNIT_CHARS)])
                unit.previous = before if prose.REFERS_BACK.match(words_here) else ""
                before = words_here[:MAX_CONTEXT_CHARS]
        self._lead = Lead(*spans[-1], readable(self._text[slice(*spans[-1])])) if spans else None

    def _pairs(self, start: int, end: int) -> None:
        at = start
        for line in self._text[start:end].split("\n"):
            if line.strip(" -"):
                self._add(UnitKind.PAIR, at, at + len(line))
            at += len(line) + 1
        self._lead = None

    def _list(self, block: Block) -> None:
        items = [item for item in block.children if lists.item_text(self._text, item).strip(" |»")]
        lead = self._lead if self._lead is not None and self._lead.colon else None
        if not items or lists.is_navigation(self._text, items):
            self._lead = None
            return
        words = lead.text if lead else ""
        shown = [(lists.marker_of(self._text, item), lists.item_text(self._text, item)) for item in items]
        for item, (_, said) in zip(items, shown, strict=True):
            self._item(item, said, words)
        if len(items) > 1:
            text, count = lists.shown_list(shown, words)
            start = lead.start if lead else items[0].start
            unit = self._add(UnitKind.LIST, start, items[count - 1].end, items[0].start, text, words)
            unit.end = items[count - 1].end
            if shown[0][0] != "-":
                unit.flags |= UnitFlag.ORDERED
            if lead:
                unit.flags |= UnitFlag.COLON
        self._section.blocks += 1
        self._lead = None

    def _item(self, item: Block, words: str, lead: str) -> None:
        own, other = lists.own_blocks(item)
        if len(words.split()) <= lists.MAX_ITEM_WORDS and all(child.kind is BlockKind.LIST for child in other):
            self._add(UnitKind.ITEM, item.body, item.end, text="" if not other else words, lead=lead)
            return
        if not item.children:
            self._sentences(item.body, item.end, lead)
            return
        for child in item.children:
            if child.kind is BlockKind.PARAGRAPH and child is own[0]:
                self._sentences(child.start, child.end, lead)
            else:
                self.read([child])

    def _table(self, block: Block) -> None:
        if tables.is_navigation(self._text, block):
            self._lead = None
            return
        lead = self._lead.text if self._lead is not None and self._lead.colon else ""
        table = tables.read_table(self._text, block, self._header)
        if len(table.header) > 1:
            self._header = table.header
        for row in table.rows:
            if any(tables.cells_of(self._text, row)):
                unit = self._add(UnitKind.ROW, row.start, row.end, lead=lead)
                unit.header = tuple(cell[:MAX_CONTEXT_CHARS] for cell in table.header)
        self._section.blocks += 1
        self._lead = None

    def _quote(self, block: Block) -> None:
        outside = self._flags
        self._flags |= UnitFlag.QUOTED
        self.read(block.children)
        self._flags = outside

    def _code(self, block: Block, before: Block | None) -> None:
        raw = self._text[block.start : block.end]
        fenced = raw.lstrip().startswith(("```", "~~~"))
        if not fenced and before is not None and before.kind is BlockKind.PARAGRAPH:
            term = self._text[before.start : before.end]
            if self._pending is not None or ("\n" not in term and prose.term_lines([term, raw.split("\n")[0]])):
                if self._pending is None:  # the line above an indented text is its term
                    self.units = [unit for unit in self.units if unit.start < before.start]
                    self._pending = (readable(term), before.start)
                self._prose(Block(BlockKind.PARAGRAPH, block.start, block.end))
                return
        lines = visible(raw).split("\n")
        if not fenced:
            lines = ["```", *(line.removeprefix("    ") for line in lines), "```"]
        end = block.end
        if len(lines) > MAX_CODE_LINES + 1:
            lines = [*lines[:MAX_CODE_LINES], lines[0].strip()[:3]]
            end = block.start + len("\n".join(raw.split("\n")[:MAX_CODE_LINES]))
        lead = self._lead
        code = "\n".join(lines)[: 2 * MAX_UNIT_CHARS]
        start = lead.start if lead else block.start
        unit = self._add(
            UnitKind.CODE, start, end, block.start, f"{lead.text}\n{code}" if lead else code, lead.text if lead else ""
        )
        unit.end = min(end, block.start + 2 * MAX_UNIT_CHARS)
        if lead and lead.colon:
            unit.flags |= UnitFlag.COLON
        self._section.blocks += 1
        self._lead = None

    def _html(self, block: Block) -> None:
        """Add the words between tags that the parser left; a block of tags only is not content."""
        if _TAG.sub("", self._text[block.start : block.end]).strip():
            self._paragraph(block)


def build_units(text: str, *, markdown: bool) -> list[DraftUnit]:
    """Return the units of a document's stored text, in the order of their sections and blocks."""
    builder = Builder(text)
    builder.read(blocks_of(text, markdown=markdown))
    return builder.units


def _moved(block: Block, by: int) -> Block:
    """Return the block and all in it with offsets that are larger by `by`."""
    return Block(
        block.kind,
        block.start + by,
        block.end + by,
        block.body + by,
        block.body_end + by,
        block.level,
        tuple(_moved(child, by) for child in block.children),
    )
