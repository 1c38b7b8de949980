"""The name of a vector: a hash of everything that the vector depends on, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from blake3 import blake3

from argosy.contracts.embedding import ModelInfo, TextKind

KEY_BYTES = 16
_CONTEXT = "argosy embedding cache, key of a text, version 1"


class Keys:
    """Keys for one engine's vectors.

    BLAKE3, not a faster hash that is only good against chance: whoever can send texts could otherwise make two that
    share a key, and have one answered with the other's vector. The engine's side is hashed once, into the hash's
    own key; so a text costs one call, and no text can be written that runs over into a field before it.
    """

    def __init__(self, info: ModelInfo, *, policy: str) -> None:
        """`info.revision` stands for weights, tokenizer, prompts, pooling, normalisation and precision.

        `policy` is what becomes of a text past the model's window, and whatever else of the service's settings
        changes a vector.
        """
        fields = (info.model, info.revision, str(info.dimensions), str(info.max_tokens), policy)
        self._of_kind = {kind: _derived((*fields, kind.value)) for kind in TextKind}

    def key(self, text: str, kind: TextKind) -> bytes:
        """16 bytes. Texts are told apart by code points: no Unicode normalisation, lone surrogates are welcome."""
        return blake3(text.encode("utf-8", "surrogatepass"), key=self._of_kind[kind]).digest(length=KEY_BYTES)


def _derived(fields: Iterable[str]) -> bytes:
    """32 bytes of the fields, each with its length before it, so that no two sequences of fields run together."""
    encoded = [field.encode("utf-8", "surrogatepass") for field in fields]
    return blake3(
        b"".join(len(field).to_bytes(8, "little") + field for field in encoded), derive_key_context=_CONTEXT
    ).digest()
