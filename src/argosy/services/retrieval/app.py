"""Retrieval service: `POST /search`."""

from __future__ import annotations

from starlette.types import ASGIApp

from argosy.clients.upstreams import Upstreams
from argosy.contracts.errors import Unavailable
from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import RetrievalRequest, RetrievalResponse
from argosy.models.languages import known_languages
from argosy.services.retrieval.engine import RetrievalEngine
from argosy.serving.app import create_app, typed
from argosy.serving.kit import Kit


class RetrievalService:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._upstreams = Upstreams.of(kit)
        self._engine: RetrievalEngine | None = None
        kit.timeouts_s = {"/search": kit.fleet.services.gateway.search_timeout_s}
        self._app = create_app(kit, [typed("/search", RetrievalRequest, self._search)])

    @property
    def app(self) -> ASGIApp:
        return self._app

    async def start(self) -> None:
        await self._upstreams.start()
        self._engine = RetrievalEngine(
            self._upstreams.embedding,
            self._upstreams.store,
            self._kit.fleet.services.retrieval.candidates,
            languages=known_languages(self._kit.fleet.services.embedding),
        )

    async def stop(self) -> None:
        await self._upstreams.stop()

    async def _search(self, request: RetrievalRequest, context: RequestContext) -> RetrievalResponse:
        if self._engine is None:
            raise Unavailable("The retrieval service is still starting. Try again in a second.", retry_after_s=1.0)
        answer = await self._engine.search(request, context)
        for missing in answer.degraded:
            self._kit.metrics.count_degraded(missing)
        return answer
