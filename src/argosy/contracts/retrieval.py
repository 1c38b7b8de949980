"""Messages of the retrieval service: a query in, ranked passages out."""

from __future__ import annotations

import enum

import msgspec

from argosy.contracts.embedding import QueryVector
from argosy.contracts.filters import Filters
from argosy.contracts.store import Chunk, QueryAnalysis, QueryTerm

__all__ = [
    "Passage",
    "QueryAnalysis",
    "QueryTerm",
    "RetrievalRequest",
    "RetrievalResponse",
    "SearchMode",
]


class SearchMode(enum.StrEnum):
    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


class RetrievalRequest(msgspec.Struct):
    query: str
    collection: str = "default"
    top_k: int = 10
    mode: SearchMode = SearchMode.HYBRID
    filters: Filters = {}
    rerank: bool | None = None
    """Whether the best passages are ordered again by a reranker; None takes the fleet's setting."""
    unit_vectors: bool = False
    """Whether an answer is made from the passages: they then carry the vectors of their answer units."""


class Passage(msgspec.Struct):
    chunk: Chunk
    score: float
    """Score in [0, 1]; higher is more relevant. Scores are comparable within one response only."""
    cosine: float | None = None
    """Cosine of the passage and the query; None when it is not known."""
    duplicates: int = 0
    """Number of worse ranked near-duplicates of the passage that were left out."""


class RetrievalResponse(msgspec.Struct):
    """Passages, best first. `degraded` names each service whose fallback served this response.

    `query_vector` is None when the query was not embedded: in a lexical search, without an embedding, and in responses
    of earlier versions. `analysis` is None in responses of earlier versions.
    """

    passages: list[Passage]
    degraded: list[str] = []
    timings_ms: dict[str, float] = {}
    query_vector: QueryVector | None = None
    analysis: QueryAnalysis | None = None
