"""Messages of the embedding service: texts in, vectors out."""

from __future__ import annotations

import enum

import msgspec

MAX_TEXTS = 2048
"""Largest number of texts in one request."""
MAX_TEXT_CHARS = 200_000
"""Longest text. Tokenising it takes as long as a batch, and no query may wait longer than a batch."""


class TextKind(enum.StrEnum):
    """Use of a text in search. Some models need different prefixes for queries and for passages."""

    QUERY = "query"
    PASSAGE = "passage"


class EmbedRequest(msgspec.Struct):
    """Texts to embed.

    With `partial`, a text that cannot be embedded is listed in the `failures` of the response; without, it fails the
    whole request.
    """

    texts: list[str]
    kind: TextKind = TextKind.PASSAGE
    partial: bool = False


class TextFailure(msgspec.Struct):
    """Reason why the text at `index` of the request has no vector. `code` is that of a class in `contracts.errors`."""

    index: int
    code: str
    message: str


class EmbedResponse(msgspec.Struct):
    """Vectors of the request's texts.

    `vectors` is little-endian float32, row after row, in the order of the texts, without the texts that failed.
    `tokens` and `truncated` are in the order of all texts; a text that failed has 0 and false. `hits` counts the texts
    whose vectors came from the cache.
    """

    model: str
    dimensions: int
    vectors: bytes
    tokens: list[int]
    truncated: list[bool]
    hits: int = 0
    failures: list[TextFailure] = []


class ModelInfo(msgspec.Struct):
    """Model that a running embedding replica serves."""

    model: str
    revision: str
    dimensions: int
    max_tokens: int
