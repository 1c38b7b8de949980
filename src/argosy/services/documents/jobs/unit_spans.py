"""Vectors of a chunk's answer units: which parts of the embedded text they are, and how the chunk carries them."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.contracts import unit_vectors
from argosy.contracts.embedding import EmbedResponse, Spans
from argosy.contracts.units import unpack


def unit_spans(units: str, chars: int, above: int) -> list[tuple[int, int]]:
    """Return the slice of the embedded text that each unit of a chunk takes, in the order of the units.

    The chunk has `chars` characters and stands after `above` characters of the embedded text. Of a unit that a border
    of the chunk cuts, it is the part inside.
    """
    stored = unpack(units)
    if stored is None:
        return []
    first = len(stored.before)
    inside = ((min(max(unit.start - first, 0), chars), min(max(unit.end - first, 0), chars)) for unit in stored.units)
    return [(above + start, above + max(start, end)) for start, end in inside]


def packed_vectors(answer: EmbedResponse, spans: Sequence[Spans]) -> list[str]:
    """Return the vectors of the units as each chunk carries them; an empty text where the model gave none."""
    if len(answer.spans) != len(spans):
        return [""] * len(spans)
    mark = unit_vectors.model_mark(answer.model, answer.revision, answer.dimensions)
    return [
        unit_vectors.pack(unit_vectors.PackedVectors(mark, rows))
        if own and len(rows) == len(own) * answer.dimensions
        else ""
        for rows, own in zip(answer.spans, spans, strict=True)
    ]
