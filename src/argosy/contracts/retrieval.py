"""A question to the chunks that may answer it."""

from __future__ import annotations

import enum

import msgspec

from argosy.contracts.store import Chunk, Metadata


class SearchMode(enum.StrEnum):
    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


class RetrievalRequest(msgspec.Struct):
    query: str
    collection: str = "default"
    top_k: int = 10
    mode: SearchMode = SearchMode.HYBRID
    filters: Metadata = {}


class Passage(msgspec.Struct):
    chunk: Chunk
    score: float
    """In [0, 1], higher is more relevant, comparable within one answer only."""


class RetrievalResponse(msgspec.Struct):
    """`degraded` names each service whose fallback served this answer."""

    passages: list[Passage]
    degraded: list[str] = []
    timings_ms: dict[str, float] = {}
