"""Gateway: the public API. One process serves the public port and, for the fleet, an internal port."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from argosy.clients.upstreams import Upstreams
from argosy.config.services import GatewaySettings
from argosy.services.gateway.gateway import Gateway
from argosy.services.gateway.routes import chat, custom, documents, embeddings, fleet, rerank, search
from argosy.services.gateway.schema import describe, page
from argosy.serving.app import health_routes
from argosy.serving.browsers import BrowserAccess
from argosy.serving.kit import Kit
from argosy.serving.middleware import ServiceMiddleware
from argosy.serving.openapi import Description
from argosy.version import VERSION

PUBLIC_PREFIXES = ("/",)
PAGE_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


class PublicApp(FastAPI):
    """Public routes and their description. `ServiceMiddleware` around them turns errors into responses."""

    def __init__(self, api: Description, **settings: Any) -> None:
        super().__init__(**settings)
        self._api = api

    def build_middleware_stack(self) -> ASGIApp:
        return AsyncExitStackMiddleware(self.router)

    def openapi(self) -> dict[str, Any]:
        return describe(self, self._api)


def create_gateway_app(gateway: Gateway) -> ASGIApp:
    """Return the public routes, wrapped in the same middleware as those of every service."""
    kit = gateway.kit
    kit.public_prefixes = PUBLIC_PREFIXES
    kit.timeouts_s = timeouts_s(gateway.settings)
    kit.configure_defences(
        gateway.settings.allowed_hosts, gateway.settings.allowed_origins, gateway.settings.max_body_bytes
    )
    app = PublicApp(
        gateway.api,
        title="Argosy",
        version=VERSION,
        description="Questions to your documents, answered with citations.",
        docs_url=None,
        redoc_url=None,
    )
    to_custom = custom.route(gateway)
    app.router.routes.extend([*health_routes(kit), to_custom])
    for routes in (chat, search, rerank, embeddings, documents, fleet):
        app.include_router(routes.router(gateway))

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return HTMLResponse(page(app.openapi()), headers=PAGE_HEADERS)

    return BrowserAccess(ServiceMiddleware(custom.CustomFirst(app, to_custom), kit, app.router), kit)


def timeouts_s(settings: GatewaySettings) -> dict[str, float]:
    """Return the default deadlines by path prefix, in seconds. Uploads and long polls get the longest one allowed."""
    return {
        "/v1/chat/": settings.chat_timeout_s,
        "/v1/search": settings.search_timeout_s,
        "/v1/embeddings": settings.embeddings_timeout_s,
        "/v1/rerank": settings.embeddings_timeout_s,
        "/v2/rerank": settings.embeddings_timeout_s,
        "/v1/documents": settings.max_timeout_s,
        "/v1/batches/": settings.max_timeout_s,
    }


class GatewayService:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._upstreams = Upstreams.of(kit)
        self._gateway = Gateway(kit)
        self._app = create_gateway_app(self._gateway)

    @property
    def app(self) -> ASGIApp:
        return self._app

    async def start(self) -> None:
        await self._upstreams.start()
        self._gateway.connect(self._upstreams)

    async def stop(self) -> None:
        await self._upstreams.stop()
