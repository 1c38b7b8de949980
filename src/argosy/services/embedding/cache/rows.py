"""Encoding of a vector as the bytes of one database row, with a checksum over its key and all other contents."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from blake3 import blake3

from argosy.services.embedding.cache.entry import CachedVector, Vector

Precision = Literal["float16", "float32"]

_HEADER = struct.Struct("<BBIIdf")
_CHECKSUM_BYTES = 8
_TRUNCATED = 1
_DTYPES = ("<f4", "<f2")


@dataclass(frozen=True, slots=True)
class Row:
    """Stored vector, and the wall time at which it was stored."""

    value: CachedVector
    stored_s: float


def encode(key: bytes, value: CachedVector, *, stored_s: float, precision: Precision) -> bytes:
    """Return header, vector and checksum. A vector that float16 cannot hold (above 65504) is stored as float32."""
    kind = 1 if precision == "float16" else 0
    if kind == 1:
        with np.errstate(over="ignore"):
            payload = value.vector.astype("<f2")
        if not np.isfinite(payload).all():
            kind = 0
    if kind == 0:
        payload = value.vector.astype("<f4", copy=False)
    flags = _TRUNCATED if value.truncated else 0
    body = _HEADER.pack(kind, flags, len(payload), value.tokens, stored_s, value.seconds) + payload.tobytes()
    return body + _checksum(key, body)


def decode(keys: Sequence[bytes], rows: Sequence[bytes]) -> list[Row | None]:
    """Return the rows in the order of `keys`; None for a row whose checksum does not match its key and contents."""
    return [_decode(key, row) for key, row in zip(keys, rows, strict=True)]


def _decode(key: bytes, row: bytes) -> Row | None:
    if len(row) < _HEADER.size + _CHECKSUM_BYTES or row[-_CHECKSUM_BYTES:] != _checksum(key, row[:-_CHECKSUM_BYTES]):
        return None
    kind, flags, dimensions, tokens, stored_s, seconds = _HEADER.unpack_from(row)
    vector: Vector = np.frombuffer(row, dtype=_DTYPES[kind], offset=_HEADER.size, count=dimensions).astype(np.float32)
    if kind == 1:
        # Rounding changed the length by up to 0.05 %; the contract requires unit length.
        length = float(np.sqrt(np.dot(vector, vector)))
        if length > 0:
            vector /= np.float32(length)
    vector.flags.writeable = False
    return Row(CachedVector(vector, tokens, bool(flags & _TRUNCATED), seconds), stored_s)


def _checksum(key: bytes, body: bytes) -> bytes:
    return blake3(key + body).digest(length=_CHECKSUM_BYTES)
