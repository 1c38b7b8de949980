"""A vector as the bytes of one database row, with a checksum over its key and all else."""

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
    """What was stored, and when, as wall time."""

    value: CachedVector
    stored_s: float


def encode(key: bytes, value: CachedVector, *, stored_s: float, precision: Precision) -> bytes:
    """Header, vector, checksum. A vector that float16 cannot hold (past 65504) is kept in float32."""
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
    """Rows in the order of `keys`; None for one that is not what was stored under its key."""
    return [_decode(key, row) for key, row in zip(keys, rows, strict=True)]


def _decode(key: bytes, row: bytes) -> Row | None:
    if len(row) < _HEADER.size + _CHECKSUM_BYTES or row[-_CHECKSUM_BYTES:] != _checksum(key, row[:-_CHECKSUM_BYTES]):
        return None
    kind, flags, dimensions, tokens, stored_s, seconds = _HEADER.unpack_from(row)
    vector: Vector = np.frombuffer(row, dtype=_DTYPES[kind], offset=_HEADER.size, count=dimensions).astype(np.float32)
    if kind == 1:
        # Rounding moved its length by up to 0.05 %; vectors are of unit length by contract.
        length = float(np.sqrt(np.dot(vector, vector)))
        if length > 0:
            vector /= np.float32(length)
    vector.flags.writeable = False
    return Row(CachedVector(vector, tokens, bool(flags & _TRUNCATED), seconds), stored_s)


def _checksum(key: bytes, body: bytes) -> bytes:
    return blake3(key + body).digest(length=_CHECKSUM_BYTES)
