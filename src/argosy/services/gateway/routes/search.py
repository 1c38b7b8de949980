"""Route `POST /v1/search`."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.contracts.retrieval import RetrievalRequest
from argosy.models.languages import query_warning
from argosy.services.gateway.answer.question import check_text
from argosy.services.gateway.bodies import SearchBody
from argosy.services.gateway.gateway import DEGRADED, Gateway
from argosy.services.gateway.reading import limit_bytes, read
from argosy.services.gateway.shapes import SearchAnswer, SearchResult
from argosy.serving.app import until_gone
from argosy.serving.middleware import context_of


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["search"])
    described = gateway.api.route({200: SearchAnswer}, (404,), takes=SearchBody, headers=[DEGRADED])
    most_bytes = limit_bytes(gateway.settings.max_question_chars)

    @routes.post("/v1/search", openapi_extra=described)
    async def search(request: Request) -> Response:
        """Return ranked passages for a query, without an answer."""
        context = context_of(request.scope)
        body = await read(request, SearchBody, most_bytes)
        check_text(body.query, "query", gateway.settings.max_question_chars)
        asked = RetrievalRequest(
            query=body.query,
            collection=body.collection,
            top_k=body.top_k,
            mode=body.mode,
            filters=body.filters,
            rerank=body.rerank,
        )
        found = await until_gone(request, gateway.upstream.retrieval.search(asked, context), context)
        results = [SearchResult.of(passage) for passage in found.passages]
        language = found.analysis.language if found.analysis is not None and found.query_vector is not None else ""
        warning = query_warning(language, gateway.kit.fleet.services.embedding)
        return gateway.json(SearchAnswer(results, found.degraded, found.timings_ms, warning), found.degraded)

    return routes
