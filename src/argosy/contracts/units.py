"""Answer units of a chunk: the parts of a document that an answer may quote, as the index stores them.

Units are built once, from the whole document, when it is indexed. They are packed into one text, so that a service that
does not know this version of the format still reads the chunk, and builds units from the chunk's text itself.
"""

from __future__ import annotations

import base64
import enum
import zlib

import msgspec

UNITS_VERSION = 1
"""Number of the format. A reader that finds a higher number ignores the stored units."""
MAX_BYTES = 2**20
"""Largest size of the units of one chunk when unpacked."""
_MARK = f"{UNITS_VERSION}:"


class UnitKind(enum.IntEnum):
    """Kinds of units. A number is never used for another kind; a reader leaves out kinds that it does not know."""

    SENTENCE = 1
    ITEM = 2
    """Item of a list."""
    LIST = 3
    """Whole list with the sentence that leads it in."""
    ROW = 4
    """Row of a table, read with its header."""
    CODE = 5
    """Block of code with the sentence before it."""
    DEFINITION = 6
    """Term and the first sentences about it."""
    PAIR = 7
    """Line of the form `Key: value`."""
    DETAIL = 8
    """Sentence that a definition already holds; it is quoted alone when the question asks for just this sentence."""


class UnitFlag(enum.IntFlag):
    """Properties of a unit that change its score."""

    QUOTED = 1
    """The unit stands in a quotation, such as the older part of a mail."""
    COLON = 2
    """The sentence before this code or list ends in a colon."""
    ORDERED = 4
    """The list is numbered."""


class Unit(msgspec.Struct, array_like=True, frozen=True):
    """Unit of a document: the slice [start, end) of `before + text + after` of its chunk, in characters.

    `body` is the offset at which the unit's own words begin after its lead-in or term. `section` counts the sections of
    the document and `block` the blocks of the section. The other numbers are indices into `ChunkUnits.texts`, or -1.
    """

    kind: int
    start: int
    end: int
    body: int
    section: int
    block: int
    flags: int = 0
    lead: int = -1
    term: int = -1
    header: int = -1
    previous: int = -1
    """Sentence before a unit whose first words refer back to it."""
    text: int = -1
    """Readable text, where it is not simply the slice without markup."""


class UnitSection(msgspec.Struct, array_like=True, frozen=True):
    """Section of the document and the indices of the headings above it, outermost first."""

    number: int
    headings: list[int]


class ChunkUnits(msgspec.Struct, array_like=True, frozen=True):
    """Units that overlap a chunk.

    `before` and `after` are the text around the chunk that its units reach into, so that a unit that is cut by the
    border of a chunk stays whole.
    """

    before: str
    after: str
    texts: list[str]
    sections: list[UnitSection]
    units: list[Unit]


_DEFAULTS = msgspec.to_builtins(Unit(0, 0, 0, 0, 0, 0))
_LEAST_FIELDS = 6
_decoder = msgspec.json.Decoder(ChunkUnits)


def pack(units: ChunkUnits) -> str:
    """Return the units as the text that a chunk carries: the version, then compressed JSON in base64."""
    before, after, texts, sections, rows = msgspec.to_builtins(units)
    body = msgspec.json.encode((before, after, texts, sections, [_trimmed(row) for row in rows]))
    return _MARK + base64.b64encode(zlib.compress(body)).decode()


def _trimmed(row: list[int]) -> list[int]:
    """Return the fields of a unit without those at the end that have their default."""
    length = len(row)
    while length > _LEAST_FIELDS and row[length - 1] == _DEFAULTS[length - 1]:
        length -= 1
    return row[:length]


def unpack(packed: str) -> ChunkUnits | None:
    """Return the units in a chunk's text, or None when it holds none that this version can read."""
    if not packed.startswith(_MARK):
        return None
    try:
        stream = zlib.decompressobj()
        body = stream.decompress(base64.b64decode(packed[len(_MARK) :]), MAX_BYTES)
        return _decoder.decode(body)
    except (msgspec.DecodeError, zlib.error, ValueError):
        return None
