"""Points of a shard: what is stored and indexed for one chunk."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import qdrant_edge as edge

from argosy.contracts.store import Chunk, DocumentFields
from argosy.ranking.weighing import Analysed, Lengths, weights
from argosy.services.store.terms import short, term, values_of

DENSE = "dense"
LEXICAL = "bm25"
UNIT_VECTORS = "unit_vectors"
"""Payload field with the vectors of a chunk's units. It is not part of the chunk's JSON, because it is large and most
searches do not read it."""
ANALYSED = "analysed"
"""Payload field with the terms of a chunk, see `Analysed.encode`. Points of older releases lack it."""

_LEFT_EMPTY = '"name":"","source":"",'
OLD_WORDS = edge.Bm25(edge.Bm25Config(language="english", avg_len=80.0))
"""Analysis of older releases, for the points that are not analysed anew yet."""


def _terms(fields: DocumentFields) -> list[str]:
    return [short(term(key, value)) for key, value in values_of(fields).items()]


def _own_fields(chunk: Chunk) -> DocumentFields:
    return DocumentFields(chunk.name, chunk.source, chunk.title, chunk.metadata)


def sparse(values: Mapping[int, float]) -> edge.SparseVector:
    """Return the sparse vector with these values by the ids of their terms."""
    return edge.SparseVector([*values], [*values.values()])


def point(
    chunk: Chunk, row: list[float], fields: DocumentFields | None, analysed: Analysed, lengths: Lengths
) -> edge.Point:
    """Return the point of a chunk. Its words are weighed by the mean lengths of the collection's fields at present."""
    known = fields or _own_fields(chunk)
    payload = msgspec.json.encode(msgspec.structs.replace(chunk, unit_vectors="")).decode()
    return edge.Point(
        chunk.chunk_id,
        {DENSE: row, LEXICAL: sparse(weights(analysed, lengths))},
        {
            "document_id": chunk.document_id,
            "version": chunk.version,
            "ordinal": chunk.ordinal,
            "terms": _terms(known),
            ANALYSED: analysed.encode(),
            **({UNIT_VECTORS: chunk.unit_vectors} if chunk.unit_vectors else {}),
            "chunk": payload if fields is None else payload.replace(_LEFT_EMPTY, "", 1),
        },
    )
