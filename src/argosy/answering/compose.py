"""Composition of an answer: sentences quoted word for word, each followed by the number of its passage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from argosy.answering.ranker import Selected
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


def compose(selected: Sequence[Selected], passages: Sequence[Passage]) -> Composed:
    """Compose the answer that quotes `selected` in the given order, or NOTHING_SAID when nothing is selected.

    Passages are numbered from 1 by first appearance, and `citations[n - 1]` belongs to `[n]`. Its quote is the slice of
    the passage from the first to the last sentence taken from it, and its score is that of the best of them.
    """
    if not selected:
        return Composed([NOTHING_SAID])
    numbers: dict[int, int] = {}
    pieces: list[str] = []
    for sentence in selected:
        number = numbers.setdefault(sentence.passage_index, len(numbers) + 1)
        apart = "" if not pieces else "\n" if _stands_alone(sentence.text) else " "
        marker = f"\n[{number}]" if _stands_alone(sentence.text) else f" [{number}]"
        pieces.append(f"{apart}{sentence.text}{marker}")
    return Composed(
        pieces,
        [
            _citation(number, passages[index], [s for s in selected if s.passage_index == index])
            for index, number in numbers.items()
        ],
    )


def _stands_alone(text: str) -> bool:
    """Return whether the text is a code block or a table row, which need lines of their own."""
    return text.startswith(("```", "~~~", "|"))


def _citation(number: int, passage: Passage, taken: Sequence[Selected]) -> Citation:
    chunk = passage.chunk
    start = min(sentence.start for sentence in taken)
    end = max(sentence.end for sentence in taken)
    return Citation(
        index=number,
        document_id=chunk.document_id,
        name=chunk.name,
        source=chunk.source,
        title=chunk.title,
        heading_path=list(chunk.heading_path),
        chunk_id=chunk.chunk_id,
        page=chunk.page,
        last_page=chunk.last_page,
        start=chunk.start + start,
        end=chunk.start + end,
        quote=chunk.text[start:end],
        score=max(sentence.score for sentence in taken),
    )
