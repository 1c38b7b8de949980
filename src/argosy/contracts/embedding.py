"""Text to vectors."""

from __future__ import annotations

import enum

import msgspec

MAX_TEXTS = 2048
"""In one request."""
MAX_TEXT_CHARS = 200_000
"""Of one text. Tokenising it takes as long as a batch, and no query may wait longer than that."""


class TextKind(enum.StrEnum):
    """Some models want a prefix that differs for what is searched and what is searched for."""

    QUERY = "query"
    PASSAGE = "passage"


class EmbedRequest(msgspec.Struct):
    """With `partial`, a text that cannot be embedded stands in the answer's `failures`; without, it fails them all."""

    texts: list[str]
    kind: TextKind = TextKind.PASSAGE
    partial: bool = False


class TextFailure(msgspec.Struct):
    """Why the text at `index` of the request has no vector. `code` is that of an error in `contracts.errors`."""

    index: int
    code: str
    message: str


class EmbedResponse(msgspec.Struct):
    """`vectors` is little-endian float32, row after row, in the order of the request's texts without those that failed.

    `tokens` and `truncated` are in the order of all texts; a text that failed has 0 and false. `hits` counts the texts
    that came from the cache.
    """

    model: str
    dimensions: int
    vectors: bytes
    tokens: list[int]
    truncated: list[bool]
    hits: int = 0
    failures: list[TextFailure] = []


class ModelInfo(msgspec.Struct):
    """What a running embedding replica serves."""

    model: str
    revision: str
    dimensions: int
    max_tokens: int
