"""Routes `GET /v1/models` and `GET /v1/health`."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from argosy.contracts.errors import SERVICE_FAILURES, UpstreamFailed
from argosy.contracts.request import RequestContext
from argosy.services.gateway.answer.question import CHAT_MODEL
from argosy.services.gateway.fleet_health import report
from argosy.services.gateway.gateway import DEGRADED, Gateway
from argosy.services.gateway.routes.embeddings import public_name
from argosy.services.gateway.shapes import HealthReport, Model, Models
from argosy.serving.app import until_gone
from argosy.serving.middleware import context_of

DOCUMENTS = "documents"


class _Named(msgspec.Struct):
    name: str
    created_at: float = 0.0


class _Collections(msgspec.Struct):
    collections: list[_Named]


def router(gateway: Gateway) -> APIRouter:
    routes = APIRouter(tags=["fleet"])

    @routes.get("/v1/models", openapi_extra=gateway.api.route({200: Models}, headers=[DEGRADED]))
    async def models(request: Request) -> Response:
        """List the values of `model`: argosy, argosy/COLLECTION for each collection, and the embedding model."""
        context = context_of(request.scope)
        created = int(gateway.kit.record.created_at)
        degraded: list[str] = []
        try:
            collections = await until_gone(request, _collections(gateway, context.for_hop_with_fallback()), context)
        except SERVICE_FAILURES:
            collections, degraded = [], [DOCUMENTS]
        known = [
            Model(CHAT_MODEL, created),
            *(Model(f"{CHAT_MODEL}/{c.name}", int(c.created_at)) for c in collections),
            Model(public_name(gateway.kit.fleet.services.embedding.model), created),
        ]
        return gateway.json(Models(known, degraded), degraded)

    @routes.get("/v1/health", openapi_extra=gateway.api.route({200: HealthReport}))
    async def health(request: Request) -> Response:
        """Return the health of the fleet, its services and their replicas."""
        context = context_of(request.scope)
        upstream = gateway.upstream
        return gateway.json(await until_gone(request, report(upstream.status, upstream.directory, context), context))

    return routes


async def _collections(gateway: Gateway, context: RequestContext) -> list[_Named]:
    answer = await gateway.upstream.documents.forward("GET", "/collections", context)
    if answer.status != 200:
        raise UpstreamFailed(f"The documents service answered {answer.status}.")
    try:
        return msgspec.json.decode(answer.body, type=_Collections).collections
    except msgspec.DecodeError as error:
        raise UpstreamFailed(
            "The documents service sent a response that is not a list of collections. See its log."
        ) from error
