"""Vectors of a chunk's units: the parts of the embedded text, and what the chunk carries."""

from __future__ import annotations

import numpy as np
import pytest

from argosy.answering.units.builder import build_units
from argosy.answering.units.stored import packed_units
from argosy.contracts.embedding import EmbedResponse
from argosy.contracts.unit_vectors import PackedVectors, model_mark, pack, unpack
from argosy.services.documents.jobs.unit_spans import packed_vectors, unit_spans
from argosy.services.documents.jobs.vectors import KeptVectors, VectorPool, text_hash

pytestmark = pytest.mark.unit

TEXT = "The harbour opens at six. Ships pay their dues at the gate. The crane lifts nine tons.\n"


def stored(start: int, end: int) -> str:
    (units,) = packed_units(TEXT, build_units(TEXT, markdown=True), [(start, end)])
    return units


def test_the_parts_are_the_units_within_the_chunk_and_after_the_title() -> None:
    title = "Rules\n"
    whole = title + TEXT
    parts = [whole[start:end] for start, end in unit_spans(stored(0, len(TEXT)), len(TEXT), len(title))]
    assert parts == [
        "The harbour opens at six.",
        "Ships pay their dues at the gate.",
        "The crane lifts nine tons.",
    ]


def test_of_a_unit_that_a_border_cuts_the_part_inside_counts() -> None:
    start, end = TEXT.index("pay"), TEXT.index("lifts")
    chunk = TEXT[start:end]
    parts = [chunk[a:b] for a, b in unit_spans(stored(start, end), len(chunk), 0)]
    assert parts == ["pay their dues at the gate.", "The crane "]


@pytest.mark.parametrize("units", ["", "9:abc", "1:!"])
def test_units_that_cannot_be_read_have_no_parts(units: str) -> None:
    assert unit_spans(units, 100, 0) == []


def test_a_chunk_carries_the_vectors_with_the_mark_of_their_model() -> None:
    packed = PackedVectors(model_mark("m", "1", 2), bytes([1, 2, 3, 4]))
    assert unpack(pack(packed)) == packed
    assert len({model_mark(*of) for of in [("m", "1", 2), ("m", "2", 2), ("n", "1", 2), ("m", "1", 3)]}) == 4


@pytest.mark.parametrize("text", ["", "1:abc", "2:abc:AAAA", "1:abc:?", "1:abc:é"])
def test_vectors_that_cannot_be_read_are_none(text: str) -> None:
    assert unpack(text) is None


def answer(spans: list[bytes]) -> EmbedResponse:
    return EmbedResponse("m", 2, np.ones(4, "<f4").tobytes(), [1, 1], [False, False], revision="1", spans=spans)


def test_chunks_whose_model_gives_no_vectors_of_parts_carry_none() -> None:
    spans = [[(0, 1), (1, 2)], [(0, 1)]]
    assert packed_vectors(answer([]), spans) == ["", ""]
    assert packed_vectors(answer([b"\1\2\3\4", b"\1"]), spans)[1] == ""
    first = unpack(packed_vectors(answer([b"\1\2\3\4", b"\1\2"]), spans)[0])
    assert first == PackedVectors(model_mark("m", "1", 2), b"\1\2\3\4")


def test_a_reused_vector_brings_the_vectors_of_the_same_units() -> None:
    spans = [(0, 3)]
    row = np.ones(2, "<f4").tobytes()
    kept = KeptVectors("m", 2, [text_hash("tide", spans), text_hash("gate")], row * 2, "", ["1:a:AAAA", ""])
    decoded = KeptVectors.decode(kept.encode())
    assert decoded == kept
    pool = VectorPool([decoded], "m")
    assert pool.units([text_hash("new", spans), text_hash("tide", spans)], ["1:b:AAAA"]) == ["1:b:AAAA", "1:a:AAAA"]
    assert pool.missing([text_hash("tide", [(0, 4)]), text_hash("tide")]) == [0, 1]
    kept.units.pop()
    assert KeptVectors.decode(kept.encode()) is None
