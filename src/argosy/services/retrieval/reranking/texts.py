"""Relevance of texts that a caller brings along: by the fleet's reranker, or by vectors and words without one."""

from __future__ import annotations

from argosy.contracts.errors import SERVICE_FAILURES, InvalidRequest
from argosy.contracts.request import RequestContext
from argosy.contracts.rerank import RERANK, RerankRequest, RerankResponse
from argosy.services.retrieval.reranking.hybrid import HybridScorer
from argosy.services.retrieval.reranking.reranker import Reranker
from argosy.telemetry.logs import logger

log = logger("rerank")


async def rerank_texts(
    request: RerankRequest,
    reranker: Reranker | None,
    hybrid: HybridScorer,
    context: RequestContext,
    *,
    configured: bool,
) -> RerankResponse:
    """Return the relevance of every text.

    `configured` tells whether the fleet has a reranker. When it has and the reranker gives no scores in time, vectors
    and words decide, and `degraded` names `rerank`.

    Raises: InvalidRequest when there is no query or no text; the errors of `HybridScorer.scores`.
    """
    if not request.query.strip() or not request.texts:
        raise InvalidRequest("A rerank request needs a query and at least one text.")
    if reranker is not None:
        try:
            found = await reranker.scores(request.query, request.texts, context.for_hop_with_fallback())
        except SERVICE_FAILURES as error:
            log.warning("texts not reranked", reason=error.code, request_id=context.request_id)
        else:
            return RerankResponse(reranker.name, found.scores, found.tokens)
    answer = await hybrid.scores(request.query, request.texts, context)
    if configured:
        answer.degraded = [RERANK, *answer.degraded]
    return answer
