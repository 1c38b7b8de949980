"""Relevance of texts without a reranker: the cosine of their vectors with the query's, and the words that they share.

A word counts by its rarity among the given texts, since there is no collection to count it in.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.errors import SERVICE_FAILURES
from argosy.contracts.request import RequestContext
from argosy.contracts.rerank import RerankResponse
from argosy.contracts.vectors import matrix
from argosy.ranking.scoring import KNOWN_SHARE
from argosy.telemetry.logs import logger
from argosy.text.analysis import terms
from argosy.text.languages import language_of
from argosy.text.rarity import idf

NAME = "argosy-hybrid"
"""Name of this way of scoring where a response names its model."""
EMBEDDING = "embedding"

SAMPLES, SAMPLE_CHARS = 20, 200
"""Number of texts, and their first characters, that tell the language: a query is often too short for that."""

log = logger("rerank")


class TextEmbedder(Protocol):
    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        """Return a vector for each text, in order.

        Raises: one of SERVICE_FAILURES when the texts cannot be embedded in time.
        """
        ...


class HybridScorer:
    def __init__(self, embedding: TextEmbedder) -> None:
        self._embedding = embedding

    async def scores(self, query: str, texts: Sequence[str], context: RequestContext) -> RerankResponse:
        """Return the relevance of every text. Without vectors, words decide alone and `degraded` names `embedding`.

        Raises: InvalidRequest when a text cannot be embedded.
        """
        by_words = asyncio.to_thread(shared_words, query, texts)
        words, cosines = await asyncio.gather(by_words, self._cosines(query, texts, context))
        if cosines is None:
            return RerankResponse(NAME, words, degraded=[EMBEDDING])
        near, tokens = cosines
        mixed = [
            KNOWN_SHARE * min(1.0, max(0.0, cosine)) + (1 - KNOWN_SHARE) * word
            for cosine, word in zip(near, words, strict=True)
        ]
        return RerankResponse(NAME, mixed, tokens)

    async def _cosines(
        self, query: str, texts: Sequence[str], context: RequestContext
    ) -> tuple[list[float], int] | None:
        """Return the cosine of each text and the number of tokens; None when the texts cannot be embedded now."""
        hop = context.for_hop_with_fallback()
        try:
            asked = await self._embedding.embed([query], TextKind.QUERY, hop)
            given = await self._embedding.embed(texts, TextKind.PASSAGE, hop)
        except SERVICE_FAILURES as error:
            log.warning("texts compared by words only", reason=error.code, request_id=context.request_id)
            return None
        near: list[float] = np.asarray(matrix(given) @ matrix(asked)[0], dtype=float).tolist()
        return near, sum(asked.tokens) + sum(given.tokens)


def shared_words(query: str, texts: Sequence[str]) -> list[float]:
    """Return for each text the share of the query's words that it has, weighted by rarity among the texts."""
    language = language_of("\n".join([query, *(text[:SAMPLE_CHARS] for text in texts[:SAMPLES])]))
    wanted = {term.stem for term in terms(query, language)}
    if not wanted:
        return [0.0] * len(texts)
    found = [wanted & {term.stem for term in terms(text, language)} for text in texts]
    # In the order of the words, so that equal texts get equal sums.
    weights = {word: idf(sum(word in own for own in found), len(texts)) for word in sorted(wanted)}
    total = math.fsum(weights.values())
    return [min(1.0, math.fsum(weights[word] for word in sorted(own)) / total) for own in found]
