"""Units of retrieved passages in words, ready to be scored and shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from argosy.answering.units.builder import build_units
from argosy.answering.units.stored import CELL_BREAK, packed_units
from argosy.answering.units.tables import shown_row
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk
from argosy.contracts.unit_vectors import unpack as unpack_vectors
from argosy.contracts.units import ChunkUnits, Unit, UnitFlag, UnitKind, unpack
from argosy.text.blocks import split_cells
from argosy.text.markup import readable

_SENTENCES = (UnitKind.SENTENCE, UnitKind.DETAIL)
KNOWN_KINDS = frozenset(int(kind) for kind in UnitKind)


@dataclass(frozen=True, slots=True)
class AnswerUnit:
    """Unit of a passage in words.

    `start` and `end` are offsets into the document's stored text, and `quote` is that slice. `text` is the unit as an
    answer shows it, and `own` are its words without lead-in and term. `passage` is the index of its best passage.
    """

    kind: UnitKind
    passage: int
    document_id: str
    name: str
    title: str
    start: int
    end: int
    quote: str
    text: str
    own: str
    section: int
    block: int
    flags: UnitFlag
    headings: tuple[str, ...]
    lead: str = ""
    term: str = ""
    header: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    previous: str = ""
    before: str = ""
    """Sentence before this one in the same paragraph."""
    vector: bytes = b""
    """Stored vector, int8, of which only the direction counts; empty when there is none by the model asked for."""

    @property
    def context(self) -> list[str]:
        """Words around the unit that explain it: title, headings, lead-in, term and header, each once."""
        around = [self.title, *self.headings, self.lead, self.term, " ".join(self.header)]
        return [words for words in dict.fromkeys(around) if words]

    @property
    def key(self) -> tuple[str, int, int, int]:
        """Identity of the unit, the same in every chunk that holds it."""
        return self.document_id, self.start, self.end, int(self.kind)

    @property
    def heading(self) -> str:
        """The innermost heading above the unit."""
        return self.headings[-1] if self.headings else ""

    def embedded_text(self) -> str:
        """Return the text whose vector stands for the unit: the nearest context, then its words."""
        lead = "" if self.kind in (UnitKind.CODE, UnitKind.LIST) else self.lead
        around = [words for words in dict.fromkeys([self.title, *self.headings[-2:], lead, self.term]) if words]
        return f"{' > '.join(around)}: {self.own}" if around else self.own


@dataclass(frozen=True, slots=True)
class Window:
    """Text of a passage and of the units that reach beyond it. `start` is its offset in the document's stored text."""

    start: int
    text: str

    def slice(self, start: int, end: int) -> str:
        """Return the slice [start, end) of the document's stored text."""
        return self.text[start - self.start : end - self.start]


@dataclass(frozen=True, slots=True)
class ReadPassages:
    """Units of passages, and the window of each passage, in which all its units lie."""

    units: list[AnswerUnit]
    windows: list[Window]


def read_units(passages: Sequence[Passage], top: int, model: str = "") -> ReadPassages:
    """Return the units of the `top` first passages, each once, in the order of the passages.

    They have their stored vectors if these are by the model with this mark (see `contracts.unit_vectors`).
    """
    found: dict[tuple[str, int, int, int], AnswerUnit] = {}
    windows: list[Window] = []
    for index, passage in enumerate(passages[:top]):
        chunk = passage.chunk
        stored = unpack(chunk.units)
        if stored is None:
            units = _built(chunk, index)
            windows.append(Window(chunk.start, chunk.text))
        else:
            units = _read(chunk, stored, index, (), _vectors(chunk, stored, model))
            around = stored.before + chunk.text + stored.after
            windows.append(Window(chunk.start - len(stored.before), around))
        for unit in units:
            known = found.setdefault(unit.key, unit)
            if unit.vector and not known.vector:  # the better passage holds only a part of the unit that has no token
                found[unit.key] = replace(known, vector=unit.vector)
    return ReadPassages(list(found.values()), windows)


def _built(chunk: Chunk, index: int) -> Iterator[AnswerUnit]:
    """Build units from the text of a chunk that carries none. Its headings stand above those in the text."""
    packed = next(packed_units(chunk.text, build_units(chunk.text, markdown=True), [(0, len(chunk.text))]))
    stored = unpack(packed)
    if stored is None:
        return iter(())
    return _read(chunk, stored, index, tuple(chunk.heading_path))


def _vectors(chunk: Chunk, stored: ChunkUnits, model: str) -> Sequence[bytes]:
    """Return the vector of each stored unit, empty where there is none by this model."""
    packed = unpack_vectors(chunk.unit_vectors) if model and chunk.unit_vectors else None
    count = len(stored.units)
    if packed is None or packed.mark != model or not count or len(packed.rows) % count:
        return ()
    size = len(packed.rows) // count
    rows = [packed.rows[at : at + size] for at in range(0, len(packed.rows), size)]
    return [row if any(row) else b"" for row in rows]


def _read(
    chunk: Chunk, stored: ChunkUnits, index: int, above: tuple[str, ...], vectors: Sequence[bytes] = ()
) -> Iterator[AnswerUnit]:
    """Yield the stored units in words. Units of unknown kinds or with offsets out of bounds are left out."""
    source = stored.before + chunk.text + stored.after
    first = chunk.start - len(stored.before)
    texts = stored.texts
    sections = {section.number: section.headings for section in stored.sections}

    def words(place: int) -> str:
        return texts[place] if 0 <= place < len(texts) else ""

    last: tuple[int, int, str] = (-1, -1, "")
    for place, unit in enumerate(stored.units):
        start, end, body = unit.start, unit.end, unit.body
        if unit.kind not in KNOWN_KINDS or not 0 <= start <= body <= end <= len(source) or start == end:
            continue
        headings = tuple(dict.fromkeys([*above, *(words(place) for place in sections.get(unit.section, []))]))
        header = tuple(words(unit.header).split(CELL_BREAK)) if unit.header >= 0 else ()
        cells = _cells(source, unit, start, end)
        text, own = _shown(source[body:end], unit, words(unit.term), words(unit.text), header, cells)
        before = last[2] if unit.kind in _SENTENCES and last[:2] == (unit.section, unit.block) else ""
        if unit.kind in _SENTENCES:
            last = (unit.section, unit.block, own)
        if own:
            yield AnswerUnit(
                UnitKind(unit.kind),
                index,
                chunk.document_id,
                chunk.name,
                chunk.title or "",
                first + start,
                first + end,
                source[start:end],
                text,
                own,
                unit.section,
                unit.block,
                UnitFlag(unit.flags),
                headings,
                words(unit.lead),
                words(unit.term),
                header,
                cells,
                words(unit.previous),
                before,
                vectors[place] if vectors else b"",
            )


def _cells(source: str, unit: Unit, start: int, end: int) -> tuple[str, ...]:
    if unit.kind != UnitKind.ROW:
        return ()
    return tuple(readable(source[a:b]) for a, b in split_cells(source, start, end))


def _shown(raw: str, unit: Unit, term: str, text: str, header: Sequence[str], cells: Sequence[str]) -> tuple[str, str]:
    """Return the unit as it is shown, and its own words."""
    if unit.kind == UnitKind.ROW:
        shown = shown_row(header, cells)
        return shown, shown
    if unit.kind in (UnitKind.CODE, UnitKind.LIST):
        return text, text
    own = text or readable(raw)
    return (f"{term}: {own}" if unit.kind == UnitKind.DEFINITION and own else own), own
