"""Messages of the reranker: a query and texts in, relevance out."""

from __future__ import annotations

import msgspec

RERANK = "rerank"
"""Name of the stage in `degraded` and `timings_ms`."""


class RerankRequest(msgspec.Struct):
    """Texts to be ordered by their relevance to a query."""

    query: str
    texts: list[str]


class RerankResponse(msgspec.Struct):
    """Relevance of each text in [0, 1], in the order of the request.

    `tokens` counts the tokens that were read; 0 when an endpoint does not tell. `degraded` names each service or stage
    whose fallback served this response.
    """

    model: str
    scores: list[float]
    tokens: int = 0
    degraded: list[str] = []
