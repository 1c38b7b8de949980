"""Unit of a document while its units are being built."""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.contracts.units import UnitFlag, UnitKind


@dataclass(slots=True)
class Section:
    """Section of a document: the text below a heading, or below a question that acts as one."""

    number: int
    headings: tuple[str, ...] = ()
    blocks: int = 0
    """Number of blocks that were read so far."""


@dataclass(frozen=True, slots=True)
class Lead:
    """Sentence directly before a block: the slice [start, end) and its readable text."""

    start: int
    end: int
    text: str

    @property
    def colon(self) -> bool:
        """Whether the sentence introduces the block."""
        return self.text.rstrip().endswith((":", "："))


@dataclass(slots=True)
class DraftUnit:
    """Unit with its context in words. See `contracts.units.Unit` for the fields."""

    kind: UnitKind
    start: int
    end: int
    section: Section
    block: int
    body: int = -1
    flags: UnitFlag = field(default_factory=lambda: UnitFlag(0))
    lead: str = ""
    term: str = ""
    header: tuple[str, ...] = field(default=())
    previous: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        if self.body < 0:
            self.body = self.start
