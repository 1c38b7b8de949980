"""Text to vectors."""

from __future__ import annotations

import enum

import msgspec


class TextKind(enum.StrEnum):
    """Some models want a prefix that differs for what is searched and what is searched for."""

    QUERY = "query"
    PASSAGE = "passage"


class EmbedRequest(msgspec.Struct):
    texts: list[str]
    kind: TextKind = TextKind.PASSAGE


class EmbedResponse(msgspec.Struct):
    """`vectors` is little-endian float32, row after row, in the order of the request's texts."""

    model: str
    dimensions: int
    vectors: bytes
    tokens: list[int]
    truncated: list[bool]


class ModelInfo(msgspec.Struct):
    """What a running embedding replica serves."""

    model: str
    revision: str
    dimensions: int
    max_tokens: int
