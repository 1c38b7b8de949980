"""Text and citations of an answer, from the shown units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from argosy.answering.showing import ShownUnit
from argosy.answering.units.reading import Window
from argosy.contracts.generation import Citation
from argosy.contracts.retrieval import Passage

NOTHING_SAID = "The indexed documents do not say."


@dataclass(frozen=True, slots=True)
class Composed:
    """Answer text and its citations. The joined `pieces` are the answer; in a stream, each piece is one delta."""

    pieces: list[str]
    citations: list[Citation] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def refused(nearest: str | None = None) -> Composed:
    """Return the answer that the documents do not say, with the nearest thing that they mention."""
    return Composed([NOTHING_SAID if nearest is None else f"{NOTHING_SAID} They mention {nearest}."])


def not_told(part: str) -> str:
    """Return the last line of an answer for a part of the question that the documents do not answer.

    It is worded unlike a refusal, because the other parts are answered.
    """
    return f"\n\nThe indexed documents are silent on this: {part}"


def compose(parts: Sequence[Sequence[ShownUnit]], passages: Sequence[Passage], windows: Sequence[Window]) -> Composed:
    """Compose the answer that shows the units of each part, in the given order.

    Passages are numbered from 1 by first appearance, and `citations[n - 1]` belongs to `[n]`. Its quote is the slice of
    the stored text from the first to the last unit that was taken from the passage.
    """
    numbers: dict[int, int] = {}
    pieces: list[str] = []
    for place, part in enumerate(parts):
        for unit in part:
            number = numbers.setdefault(unit.sources[0].passage, len(numbers) + 1)
            first_of_part = bool(pieces) and place > 0 and unit is part[0]
            apart = "" if not pieces else "\n\n" if first_of_part else "\n" if unit.stands_alone else " "
            marker = f"\n[{number}]" if unit.stands_alone else f" [{number}]"
            pieces.append(f"{apart}{unit.text}{marker}")
    shown = [unit for part in parts for unit in part]
    return Composed(
        pieces,
        [
            _citation(
                number, passages[index], windows[index], [unit for unit in shown if unit.sources[0].passage == index]
            )
            for index, number in numbers.items()
        ],
    )


def _citation(number: int, passage: Passage, window: Window, taken: Sequence[ShownUnit]) -> Citation:
    chunk = passage.chunk
    sources = [source for unit in taken for source in unit.sources if source.passage == taken[0].sources[0].passage]
    start = min(source.start for source in sources)
    end = max(source.end for source in sources)
    return Citation(
        index=number,
        document_id=chunk.document_id,
        name=chunk.name,
        source=chunk.source,
        title=chunk.title,
        heading_path=list(sources[0].headings or chunk.heading_path),
        chunk_id=chunk.chunk_id,
        page=chunk.page,
        last_page=chunk.last_page,
        start=start,
        end=end,
        quote=window.slice(start, end),
        score=max(unit.probability for unit in taken),
    )
