"""Neighbouring chunks of one section become one passage that is a slice of the stored text."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.answering.joining import MAX_JOINED, join_neighbours
from argosy.answering.units.builder import build_units
from argosy.answering.units.reading import read_units
from argosy.answering.units.stored import packed_units
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk

pytestmark = pytest.mark.unit

TEXT = """# Moorings

A berth must be booked. It costs thirty euros a night:

- water is included
- power is extra

Call the office before noon. They answer on channel 9.

| berth | price |
|---|---|
| A1 | 30 |
| B2 | 40 |
"""


def cut_at(*places: int, units: bool = True) -> list[Passage]:
    """Return the passages of the text, cut at these places and without white space at the ends, best first."""
    spans = []
    for start, end in zip((0, *places), (*places, len(TEXT)), strict=True):
        text = TEXT[start:end]
        if text.strip():
            spans.append((start + len(text) - len(text.lstrip()), start + len(text.rstrip())))
    packed = list(packed_units(TEXT, build_units(TEXT, markdown=True), spans)) if units else [""] * len(spans)
    return [
        Passage(
            Chunk(
                f"c{n}",
                "d",
                1,
                n,
                "m.md",
                "s",
                TEXT[start:end],
                start,
                end,
                page=n + 1,
                last_page=n + 1,
                units=packed[n],
            ),
            1.0 - n / 10,
            0.5 + n / 10,
            duplicates=n,
        )
        for n, (start, end) in enumerate(spans)
    ]


HALF = TEXT.index("- power")
LATER = TEXT.index("Call")


def test_neighbours_become_one_slice_of_the_stored_text_at_the_better_place() -> None:
    first, second = cut_at(HALF)
    other = Passage(msgspec.structs.replace(first.chunk, chunk_id="x", document_id="e"), 0.95)
    [joined, last] = join_neighbours([second, other, first])
    chunk = joined.chunk
    assert chunk.text == TEXT[chunk.start : chunk.end] == TEXT.strip()
    assert (chunk.chunk_id, chunk.page, chunk.last_page, chunk.ordinal) == ("c1", 1, 2, 0)
    assert (joined.score, joined.cosine, joined.duplicates) == (1.0, 0.6, 1)
    assert last is other


@given(st.sets(st.integers(1, len(TEXT) - 1), min_size=1, max_size=2))
def test_units_of_joined_passages_are_exact_and_the_same_as_before(places: set[int]) -> None:
    passages = cut_at(*sorted(places))
    joined = join_neighbours(passages)
    before = {unit.key: unit for unit in read_units(passages, 9).units}
    found = read_units(joined, 9).units
    assert len({unit.key for unit in found}) == len(found)
    for passage in joined:
        assert passage.chunk.text == TEXT[passage.chunk.start : passage.chunk.end]
    for unit in found:
        assert unit.quote == TEXT[unit.start : unit.end]
    if all(passage.chunk.units for passage in passages):
        assert len(joined) == 1
        assert {unit.key for unit in found} == before.keys()
        for unit in found:
            old = before[unit.key]
            assert (unit.text, unit.context, unit.previous) == (old.text, old.context, old.previous)


def test_at_most_three_chunks_are_joined() -> None:
    passages = cut_at(HALF, LATER, TEXT.index("They"))
    joined = join_neighbours(passages)
    assert [passage.chunk.ordinal for passage in joined] == [0, 3]
    assert MAX_JOINED == 3


@pytest.mark.parametrize(
    "change",
    [
        {"document_id": "e"},
        {"version": 2},
        {"ordinal": 2},
        {"heading_path": ["Elsewhere"]},
        {"start": 10, "end": 20},
    ],
)
def test_other_chunks_are_not_joined(change: dict[str, object]) -> None:
    first, second = cut_at(HALF)
    second.chunk = msgspec.structs.replace(second.chunk, **change)
    assert join_neighbours([first, second]) == [first, second]


def test_an_unknown_gap_is_not_joined_but_overlapping_and_touching_chunks_are() -> None:
    first, second = cut_at(HALF, units=False)
    assert len(join_neighbours([first, second])) == 2
    for start in (first.chunk.end, first.chunk.end - 5):
        second.chunk = msgspec.structs.replace(second.chunk, start=start, text=TEXT[start : second.chunk.end])
        [joined] = join_neighbours([first, second])
        assert joined.chunk.text == TEXT[joined.chunk.start : joined.chunk.end]
