"""What both forms of `POST /v1/embeddings` share: which texts are taken, and how vectors are written."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.contracts.embedding import MAX_TEXT_CHARS, EmbedResponse


def text_fault(text: str) -> str:
    """Why a text cannot be embedded and what to do, to follow its name; empty when it can."""
    if not text or text.isspace():
        return "is empty; leave it out"
    if len(text) > MAX_TEXT_CHARS:
        return f"has {len(text)} characters, the limit is {MAX_TEXT_CHARS}; send it in parts"
    if "\0" in text:
        return "holds a NUL character; remove it"
    return ""


def vectors(embedded: EmbedResponse, as_base64: bool) -> Sequence[list[float] | bytes]:
    """As numbers, or as the very bytes that came, which msgspec writes as base64."""
    if as_base64:
        size = 4 * embedded.dimensions
        return [embedded.vectors[at : at + size] for at in range(0, len(embedded.vectors), size)]
    # Brings numpy, which a gateway needs for nothing else.
    from argosy.contracts.vectors import matrix

    rows: list[list[float]] = matrix(embedded).tolist()
    return rows
