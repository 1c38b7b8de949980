"""What a request to the store must be before anything of it is written or searched."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np

from argosy.contracts.errors import Conflict, InvalidRequest
from argosy.contracts.store import Chunk
from argosy.contracts.vectors import Vectors
from argosy.services.store.publication import Collection


def check_model(collection: Collection, model: str, dimensions: int) -> None:
    """Raises: Conflict, the collection holds another model's vectors."""
    if (model, dimensions) != (collection.model, collection.dimensions):
        raise Conflict(
            f"Collection {collection.name!r} holds vectors of {collection.model} ({collection.dimensions} dimensions), "
            f"not of {model} ({dimensions}). Embed with that model, or index the documents again in another "
            "collection.",
            param="model",
        )


def check_ids(chunks: Sequence[Chunk]) -> None:
    """Raises: InvalidRequest naming the first chunk whose id is no UUID or is there twice."""
    seen: set[str] = set()
    for index, chunk in enumerate(chunks):
        try:
            canonical = str(uuid.UUID(chunk.chunk_id)) == chunk.chunk_id
        except ValueError:
            canonical = False
        if not canonical or chunk.chunk_id in seen:
            what = "is twice in the request" if canonical else "is not a UUID in its usual form"
            raise InvalidRequest(f"chunks[{index}].chunk_id {what}.", param="chunks")
        seen.add(chunk.chunk_id)


def matrix(raw: bytes, dimensions: int, rows: int) -> Vectors:
    """The rows of `raw` at unit length, shape (rows, dimensions).

    Raises: InvalidRequest, the size is wrong, or naming the first row without a direction.
    """
    if len(raw) != rows * dimensions * 4:
        raise InvalidRequest(
            f"vectors has {len(raw)} bytes; {rows} chunks of {dimensions} float32 need {rows * dimensions * 4}.",
            param="vectors",
        )
    found, bad = _unit_rows(raw, dimensions)
    if bad:
        raise InvalidRequest(f"vectors[{bad[0]}] is zero or not finite; it has no direction.", param="vectors")
    return found


def query_vector(raw: bytes, collection: Collection) -> list[float]:
    """The question's vector at unit length. Raises: InvalidRequest; Conflict, the collection has other dimensions."""
    if not raw or len(raw) % 4:
        raise InvalidRequest("vector must be float32 values, four bytes each.", param="vector")
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
    """The rows at unit length, and the indexes of those without a direction: not finite, or of length zero.

    Lengths are taken in float64: the squares of tiny float32 values would vanish.
    """
    rows = np.frombuffer(raw, dtype="<f4").reshape(-1, dimensions).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0.0)
    bad: list[int] = np.flatnonzero(~usable).tolist()
    return np.divide(rows, lengths, where=usable, out=np.zeros_like(rows)).astype(np.float32), bad
