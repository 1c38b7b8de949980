"""Reuse of computed vectors, which are stored per document with the hash of each chunk's text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from argosy.contracts.embedding import Spans

_HASH_BYTES = 16


class KeptVectors(msgspec.Struct):
    """Stored vectors of a document.

    `hashes` are those of the embedded texts and their units, row by row; `vectors` is little-endian float32 of shape
    (len(hashes), dimensions). `units` holds the vectors of each text's units as chunks carry them; it is empty in
    documents of earlier versions. `made_by` is the key of the settings used, see `fingerprint.vectors_key`.
    """

    model: str
    dimensions: int
    hashes: list[bytes]
    vectors: bytes
    made_by: str = ""
    units: list[str] = []

    def encode(self) -> bytes:
        return _encoder.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> KeptVectors | None:
        """Decode stored vectors; None when the data is not valid, so that the vectors are computed again."""
        try:
            kept = _decoder.decode(data)
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None
        if len(kept.vectors) != 4 * kept.dimensions * len(kept.hashes) or len(kept.units) not in (0, len(kept.hashes)):
            return None
        return kept


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(KeptVectors)


def text_hash(text: str, spans: Spans = ()) -> bytes:
    """Return the hash of a text and of the spans whose vectors are wanted, 16 bytes."""
    places = msgspec.json.encode(spans) if spans else b""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES, key=_key(places)).digest()


def _key(places: bytes) -> bytes:
    """Return the hash of the spans, which keys the hash of the text, so that no text imitates spans."""
    return hashlib.blake2b(places, digest_size=_HASH_BYTES).digest() if places else b""


class VectorPool:
    """Vectors by the hash of their text, all of one model. `model` is (name, dimensions), None while it is empty."""

    def __init__(self, kept: Iterable[KeptVectors], model: str, made_by: str = "") -> None:
        """Create a pool without the vectors of other models or of other settings."""
        self.model: tuple[str, int] | None = None
        self._rows: dict[bytes, bytes] = {}
        self._units: dict[bytes, str] = {}
        for one in kept:
            if (one.model, one.made_by) != (model, made_by) or self.model not in (None, (one.model, one.dimensions)):
                continue
            self.model = (one.model, one.dimensions)
            size = 4 * one.dimensions
            for row, key in enumerate(one.hashes):
                self._rows[key] = one.vectors[row * size : (row + 1) * size]
                self._units[key] = one.units[row] if one.units else ""

    def missing(self, hashes: Sequence[bytes]) -> list[int]:
        """Return the indices in `hashes` whose vectors are not in the pool."""
        return [place for place, key in enumerate(hashes) if key not in self._rows]

    def rows(self, hashes: Sequence[bytes], computed: Sequence[bytes]) -> bytes:
        """Return the vectors of `hashes` in order. `computed` holds the missing ones, in their order."""
        new = iter(computed)
        return b"".join(self._rows[key] if key in self._rows else next(new) for key in hashes)

    def units(self, hashes: Sequence[bytes], computed: Sequence[str]) -> list[str]:
        """Return the vectors of the units of each text in order. `computed` holds the missing ones, in their order."""
        new = iter(computed)
        return [self._units[key] if key in self._rows else next(new) for key in hashes]
