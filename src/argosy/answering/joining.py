"""Neighbouring chunks joined into one passage, so that a language model sees a section whole that indexing has cut.

Chunks are joined when they follow each other in the same version and section of a document, and the text between them
is known: they overlap or touch, or the stored units of one of them hold the white space in between. The joined text is
a slice of the stored text like that of a chunk, so citations stay exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.contracts.units import ChunkUnits, Unit, UnitSection, pack, unpack

MAX_JOINED = 3
"""Most chunks of one joined passage. A longer passage would push others out of a language model's window."""


def join_neighbours(passages: Sequence[Passage]) -> list[Passage]:
    """Return the passages, with neighbours joined at the place of the better ranked one."""
    order = {passage.chunk.chunk_id: place for place, passage in enumerate(passages)}
    ordered = sorted(passages, key=lambda one: (one.chunk.document_id, one.chunk.version, one.chunk.ordinal))
    runs: list[list[Passage]] = []
    for passage in ordered:
        run = runs[-1] if runs else []
        if run and len(run) < MAX_JOINED and between(run[-1].chunk, passage.chunk) is not None:
            run.append(passage)
        else:
            runs.append([passage])
    best = [min(run, key=lambda one: order[one.chunk.chunk_id]) for run in runs]
    placed = sorted(zip(best, runs, strict=True), key=lambda pair: order[pair[0].chunk.chunk_id])
    return [_joined(first, run) if len(run) > 1 else first for first, run in placed]


def between(first: Chunk, second: Chunk) -> str | None:
    """Return the stored text between two neighbouring chunks, empty when they touch; None when it is not known."""
    if (first.document_id, first.version, first.ordinal + 1) != (second.document_id, second.version, second.ordinal):
        return None
    if first.heading_path != second.heading_path or not first.start < second.start or not first.end < second.end:
        return None
    gap = second.start - first.end
    if gap <= 0:
        return "" if first.text[second.start - first.start :] == second.text[:-gap] else None
    known = None
    if (units := unpack(first.units)) is not None and len(units.after) >= gap:
        known = units.after[:gap]
    elif (units := unpack(second.units)) is not None and len(units.before) >= gap:
        known = units.before[-gap:]
    return known if known is not None and known.isspace() else None


def _joined(best: Passage, run: Sequence[Passage]) -> Passage:
    chunk = run[0].chunk
    for first, second in pairwise(run):
        chunk = _both(chunk, second.chunk, between(first.chunk, second.chunk) or "")
    cosines = [passage.cosine for passage in run if passage.cosine is not None]
    return Passage(
        msgspec.structs.replace(chunk, chunk_id=best.chunk.chunk_id),
        max(passage.score for passage in run),
        max(cosines, default=None),
        sum(passage.duplicates for passage in run),
    )


def _both(first: Chunk, second: Chunk, gap: str) -> Chunk:
    """Return two neighbours as one chunk with the offsets, pages and units of both."""
    text = first.text + gap + second.text[max(0, first.end - second.start) :]
    last_page = second.last_page if second.last_page is not None else second.page
    return msgspec.structs.replace(
        first, text=text, end=second.end, last_page=last_page, units=_units(first, second, text)
    )


def _units(first: Chunk, second: Chunk, text: str) -> str:
    """Return the units of both chunks, each once. A chunk without units leaves none: they are then read anew."""
    ours, theirs = unpack(first.units), unpack(second.units)
    if ours is None or theirs is None:
        return ""
    base = min(first.start - len(ours.before), second.start - len(theirs.before))
    before = ours.before
    if base < first.start - len(ours.before):
        before = theirs.before[: first.start - base]
    after = theirs.after
    if first.end + len(ours.after) > second.end + len(theirs.after):
        after = ours.after[second.end - first.end :]
    texts: dict[str, int] = {}
    sections: dict[int, UnitSection] = {}
    units: dict[tuple[int, int, int], Unit] = {}
    for start, packed in ((first.start, ours), (second.start, theirs)):
        index = [texts.setdefault(words, len(texts)) for words in packed.texts]
        for section in packed.sections:
            headings = [index[heading] for heading in section.headings]
            sections.setdefault(section.number, UnitSection(section.number, headings))
        for unit in _moved(packed, start - len(packed.before) - base, index):
            units.setdefault((unit.kind, unit.start, unit.end), unit)
    ordered = sorted(units.values(), key=lambda unit: unit.start)
    return pack(ChunkUnits(before, after, list(texts), list(sections.values()), ordered))


def _moved(packed: ChunkUnits, by: int, index: Sequence[int]) -> Iterable[Unit]:
    """Yield the units with their offsets moved and their texts numbered anew."""

    def at(old: int) -> int:
        return index[old] if 0 <= old < len(index) else -1

    for unit in packed.units:
        yield msgspec.structs.replace(
            unit,
            start=unit.start + by,
            end=unit.end + by,
            body=unit.body + by,
            lead=at(unit.lead),
            term=at(unit.term),
            header=at(unit.header),
            previous=at(unit.previous),
            text=at(unit.text),
        )
