"""Units as chunks carry them: each chunk gets the units that overlap it, packed into one text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from argosy.answering.units.drafts import DraftUnit
from argosy.contracts.units import ChunkUnits, Unit, UnitSection, pack

MAX_REACH_CHARS = 2_000
"""Farthest that a unit may reach beyond its chunk. The text up to there is stored with the chunk."""
MAX_UNITS = 120
"""Largest number of units of one chunk."""
CELL_BREAK = "\t"
"""Character between the cells of a header. White space within a cell is always single spaces."""


def packed_units(text: str, units: Sequence[DraftUnit], chunks: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Yield the packed units of each chunk, given as slices [start, end) of the document's stored text, in order.

    The text up to the next chunk is stored too where it is white space, so that both can be joined exactly.
    """
    ordered = sorted(units, key=lambda unit: unit.start)
    first = 0
    longest = max((unit.end - unit.start for unit in ordered), default=0)
    following = [*(start for start, _ in chunks[1:]), 0]
    for (start, end), next_start in zip(chunks, following, strict=False):
        while first < len(ordered) and ordered[first].start + longest <= start:
            first += 1
        here: list[DraftUnit] = []
        place = first
        while place < len(ordered) and ordered[place].start < end and len(here) < MAX_UNITS:
            unit = ordered[place]
            if unit.end > start and start - MAX_REACH_CHARS <= unit.start and unit.end <= end + MAX_REACH_CHARS:
                here.append(unit)
            place += 1
        reach = next_start if end < next_start <= end + MAX_REACH_CHARS and text[end:next_start].isspace() else end
        yield pack(_packed(text, here, start, end, reach)) if here else ""


def _packed(text: str, units: Sequence[DraftUnit], start: int, end: int, reach: int) -> ChunkUnits:
    texts: dict[str, int] = {}
    sections: dict[int, UnitSection] = {}

    def index(words: str) -> int:
        return texts.setdefault(words, len(texts)) if words else -1

    base = min(start, min(unit.start for unit in units))
    stored = []
    for unit in units:
        section = unit.section
        if section.number not in sections:
            sections[section.number] = UnitSection(section.number, [index(title) for title in section.headings])
        stored.append(
            Unit(
                kind=int(unit.kind),
                start=unit.start - base,
                end=unit.end - base,
                body=unit.body - base,
                section=section.number,
                block=unit.block,
                flags=int(unit.flags),
                lead=index(unit.lead),
                term=index(unit.term),
                header=index(CELL_BREAK.join(unit.header)) if unit.header else -1,
                previous=index(unit.previous),
                text=index(unit.text),
            )
        )
    before = text[base:start]
    after = text[end : max(reach, max(unit.end for unit in units))]
    return ChunkUnits(before, after, list(texts), list(sections.values()), stored)
