"""Key of a vector: a hash of everything that the vector depends on, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import msgspec
from blake3 import blake3

from argosy.contracts.embedding import ModelInfo, Spans, TextKind

KEY_BYTES = 16
_CONTEXT = "argosy embedding cache, key of a text, version 1"


class Keys:
    """Keys for one engine's vectors.

    The hash is BLAKE3. A faster, non-cryptographic hash would let a sender construct two texts with the same key, so
    that one is answered with the vector of the other. The engine's fields are hashed once, into the key of the hash:
    each text then costs one call, and no text can imitate a field.
    """

    def __init__(self, info: ModelInfo, *, policy: str) -> None:
        """Derive the keys of one engine.

        `info.revision` covers weights, tokenizer, prompts, pooling, normalisation and precision. `policy` covers the
        treatment of texts longer than the model's window, and any other setting of the service that changes a vector.
        """
        fields = (info.model, info.revision, str(info.dimensions), str(info.max_tokens), policy)
        self._of_kind = {kind: _derived((*fields, kind.value)) for kind in TextKind}
        self._with_spans = {kind: _derived((*fields, kind.value, "spans")) for kind in TextKind}

    def key(self, text: str, kind: TextKind, spans: Spans = ()) -> bytes:
        """Return the key, 16 bytes, of the text's code points: no Unicode normalisation, lone surrogates allowed.

        With `spans`, it is the key of the vectors of the text and of these spans together.
        """
        encoded = text.encode("utf-8", "surrogatepass")
        if not spans:
            return blake3(encoded, key=self._of_kind[kind]).digest(length=KEY_BYTES)
        places = msgspec.msgpack.encode([len(encoded), *chain.from_iterable(spans)])
        return blake3(places + encoded, key=self._with_spans[kind]).digest(length=KEY_BYTES)


def _derived(fields: Iterable[str]) -> bytes:
    """Return 32 bytes derived from the fields. Each is preceded by its length, so that no two sequences coincide."""
    encoded = [field.encode("utf-8", "surrogatepass") for field in fields]
    return blake3(
        b"".join(len(field).to_bytes(8, "little") + field for field in encoded), derive_key_context=_CONTEXT
    ).digest()
