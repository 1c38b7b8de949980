"""Routes `POST /v1/rerank` and `POST /v2/rerank`, in the shape of Cohere's and Jina's APIs.

Cohere's newer client calls the second path; both do the same.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.contracts.errors import InvalidRequest
from argosy.contracts.rerank import RerankRequest, RerankResponse
from argosy.services.gateway.answer.question import check_text
from argosy.services.gateway.bodies import RerankBody
from argosy.services.gateway.embeddings.vectors import text_fault
from argosy.services.gateway.gateway import DEGRADED, Gateway
from argosy.services.gateway.reading import read
from argosy.services.gateway.shapes import (
    RerankAnswer,
    RerankedText,
    RerankMeta,
    RerankResult,
    RerankTokens,
    RerankUsage,
)
from argosy.serving.app import until_gone
from argosy.serving.middleware import context_of

MAX_BODY_BYTES = 8 * 2**20


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["search"])
    described = gateway.api.route({200: RerankAnswer}, takes=RerankBody, headers=[DEGRADED])

    @routes.post("/v1/rerank", openapi_extra=described)
    @routes.post("/v2/rerank", openapi_extra=described)
    async def rerank(request: Request) -> Response:
        """Return the given texts by their relevance to a query, best first."""
        context = context_of(request.scope)
        body = await read(request, RerankBody, MAX_BODY_BYTES)
        check_text(body.query, "query", gateway.settings.max_question_chars)
        asked = RerankRequest(body.query, _texts(body))
        found = await until_gone(request, gateway.upstream.retrieval.rerank(asked, context), context)
        return gateway.json(_answer(context.request_id, asked.texts, body, found), found.degraded)

    return routes


def _texts(body: RerankBody) -> list[str]:
    texts = body.texts()
    for position, one in enumerate(texts):
        fault = text_fault(one)
        if fault:
            raise InvalidRequest(f"The text at position {position} of documents {fault}.", param="documents")
    return texts


def _answer(request_id: str, texts: list[str], body: RerankBody, found: RerankResponse) -> RerankAnswer:
    order = sorted(range(len(texts)), key=lambda at: (-found.scores[at], at))
    results = [
        RerankResult(at, found.scores[at], RerankedText(texts[at]) if body.return_documents else None)
        for at in order[: body.top_n]
    ]
    usage, meta = RerankUsage(found.tokens), RerankMeta(RerankTokens(found.tokens))
    return RerankAnswer(request_id, found.model, results, usage, meta, found.degraded)
