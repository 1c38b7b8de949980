"""Checks of a request to the store, made before any data is written or searched."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np

from argosy.contracts.errors import Conflict, InvalidRequest
from argosy.contracts.store import Chunk
from argosy.contracts.vectors import Vectors
from argosy.services.store.decisions import Collection


def check_model(collection: Collection, model: str, dimensions: int) -> None:
    """Check the model of new vectors. Raises: Conflict when the collection has vectors of another model."""
    if (model, dimensions) != (collection.model, collection.dimensions):
        raise Conflict(
            f"Collection {collection.name!r} holds vectors of {collection.model} ({collection.dimensions} dimensions), "
            f"not of {model} ({dimensions}). Embed with that model, or index the documents again in another "
            "collection.",
            param="model",
        )


def check_ids(chunks: Sequence[Chunk]) -> None:
    """Check the ids of chunks. Raises: InvalidRequest, naming the first chunk whose id is no UUID or not unique."""
    seen: set[str] = set()
    for index, chunk in enumerate(chunks):
        try:
            canonical = str(uuid.UUID(chunk.chunk_id)) == chunk.chunk_id
        except ValueError:
            canonical = False
        if not canonical or chunk.chunk_id in seen:
            what = "occurs twice in the request" if canonical else "is not a UUID in its canonical form"
            raise InvalidRequest(f"chunks[{index}].chunk_id {what}. Send a unique UUID.", param="chunks")
        seen.add(chunk.chunk_id)


def matrix(raw: bytes, dimensions: int, rows: int) -> Vectors:
    """Return the rows of `raw`, little-endian float32, at unit length, with the shape (rows, dimensions).

    Raises: InvalidRequest when the size is wrong or a row is zero or not finite; the message names the first such row.
    """
    if len(raw) != rows * dimensions * 4:
        raise InvalidRequest(
            f"vectors has {len(raw)} bytes, but {rows} chunks of {dimensions} float32 need {rows * dimensions * 4}.",
            param="vectors",
        )
    found, bad = _unit_rows(raw, dimensions)
    if bad:
        raise InvalidRequest(f"vectors[{bad[0]}] is zero or not finite; it has no direction.", param="vectors")
    return found


def query_vector(raw: bytes, collection: Collection) -> list[float]:
    """Return the query vector at unit length; `raw` is little-endian float32.

    Raises: InvalidRequest when the vector is malformed, zero or not finite; Conflict when the collection has another
    number of dimensions.
    """
    if not raw or len(raw) % 4:
        raise InvalidRequest("vector must consist of float32 values of four bytes each.", param="vector")
    sent = len(raw) // 4
    if collection.dimensions is not None and sent != collection.dimensions:
        raise Conflict(
            f"Collection {collection.name!r} holds vectors of {collection.model} ({collection.dimensions} dimensions), "
            f"the question's has {sent}. Ask with that model, or index the documents again in another collection.",
            param="vector",
        )
    row, bad = _unit_rows(raw, sent)
    if bad:
        raise InvalidRequest("vector is zero or not finite; it has no direction.", param="vector")
    values: list[float] = row[0].tolist()
    return values


def _unit_rows(raw: bytes, dimensions: int) -> tuple[Vectors, list[int]]:
    """Return the rows at unit length, and the indices of rows that are not finite or have the length zero.

    Lengths are computed in float64, because the squares of tiny float32 values would underflow.
    """
    rows = np.frombuffer(raw, dtype="<f4").reshape(-1, dimensions).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0.0)
    bad: list[int] = np.flatnonzero(~usable).tolist()
    return np.divide(rows, lengths, where=usable, out=np.zeros_like(rows)).astype(np.float32), bad
