"""Vectors that were computed once: kept per document with the hash of each chunk's text, and taken from there again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

_HASH_BYTES = 16


class KeptVectors(msgspec.Struct):
    """A document's vectors. `hashes` are those of the embedded texts, row by row; `vectors` is little-endian float32,
    shape (len(hashes), dimensions). `made_by` names the settings they were made with, see `processing.vectors_key`."""

    model: str
    dimensions: int
    hashes: list[bytes]
    vectors: bytes
    made_by: str = ""

    def encode(self) -> bytes:
        return _encoder.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> KeptVectors | None:
        """None when the content is not what it should be: then it is computed anew."""
        try:
            kept = _decoder.decode(data)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None
        return kept if len(kept.vectors) == 4 * kept.dimensions * len(kept.hashes) else None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(KeptVectors)


def text_hash(text: str) -> bytes:
    """16 bytes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest()


class VectorPool:
    """Vectors by the hash of their text, all of one model; `model` is None while it holds none."""

    def __init__(self, kept: Iterable[KeptVectors], model: str, made_by: str = "") -> None:
        """Those of another model than the present one, or made with other settings, are left out."""
        self.model: tuple[str, int] | None = None
        self._rows: dict[bytes, bytes] = {}
        for one in kept:
            if (one.model, one.made_by) != (model, made_by) or self.model not in (None, (one.model, one.dimensions)):
                continue
            self.model = (one.model, one.dimensions)
            size = 4 * one.dimensions
            for row, key in enumerate(one.hashes):
                self._rows[key] = one.vectors[row * size : (row + 1) * size]

    def missing(self, hashes: Sequence[bytes]) -> list[int]:
        """Places in `hashes` whose vector is not here."""
        return [place for place, key in enumerate(hashes) if key not in self._rows]

    def rows(self, hashes: Sequence[bytes], computed: Sequence[bytes]) -> bytes:
        """The vectors of `hashes` in order; `computed` has those that are missing, in their order."""
        new = iter(computed)
        return b"".join(self._rows[key] if key in self._rows else next(new) for key in hashes)
