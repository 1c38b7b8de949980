"""Vectors of the answer units of a chunk, packed into one text that the store keeps beside the chunk.

They come from the same run of the model as the vector of the chunk, so they cost nothing to compute and are comparable
with the vector of a question by the same model only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

VECTORS_VERSION = 1
"""Number of the format. A reader that finds another number ignores the stored vectors."""
_MARK_BYTES = 6


def model_mark(model: str, revision: str, dimensions: int) -> str:
    """Return a short mark that is equal for vectors of the same model, revision and form."""
    described = f"{model}\0{revision}\0{dimensions}".encode()
    return hashlib.blake2b(described, digest_size=_MARK_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class PackedVectors:
    """Vectors of the units of a chunk, in the order of `ChunkUnits.units`.

    `rows` is int8 of shape (units, dimensions), of which only the directions count; a unit with a row of zeros has no
    vector. `mark` is that of the model.
    """

    mark: str
    rows: bytes


def pack(vectors: PackedVectors) -> str:
    """Return the vectors as text."""
    return f"{VECTORS_VERSION}:{vectors.mark}:{base64.b64encode(vectors.rows).decode()}"


def unpack(packed: str) -> PackedVectors | None:
    """Return the vectors in a text, or None when it holds none that this version can read."""
    version, _, rest = packed.partition(":")
    mark, colon, rows = rest.partition(":")
    if version != str(VECTORS_VERSION) or not colon:
        return None
    try:
        return PackedVectors(mark, base64.b64decode(rows, validate=True))
    except (binascii.Error, ValueError):
        return None
