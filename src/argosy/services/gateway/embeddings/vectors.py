"""Check of input texts and encoding of vectors, shared by both forms of `POST /v1/embeddings`."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.contracts.embedding import MAX_TEXT_CHARS, EmbedResponse


def text_fault(text: str) -> str:
    """Return why a text cannot be embedded and what to do, to be placed after its name; empty when it can be."""
    if not text or text.isspace():
        return "is empty; leave it out"
    if len(text) > MAX_TEXT_CHARS:
        return f"has {len(text)} characters, the limit is {MAX_TEXT_CHARS}; send it in parts"
    if "\0" in text:
        return "holds a NUL character; remove it"
    return ""


def vectors(embedded: EmbedResponse, as_base64: bool) -> Sequence[list[float] | bytes]:
    """Return the vectors as lists of numbers, or as the received float32 bytes, which msgspec writes as base64."""
    if as_base64:
        size = 4 * embedded.dimensions
        return [embedded.vectors[at : at + size] for at in range(0, len(embedded.vectors), size)]
    # The import loads numpy, which a gateway needs for nothing else.
    from argosy.contracts.vectors import matrix

    rows: list[list[float]] = matrix(embedded).tolist()
    return rows
