"""Retrieval service: `POST /search`, and `POST /rerank` for texts that callers bring along."""

from __future__ import annotations

import os

from starlette.types import ASGIApp

from argosy.clients.upstreams import Upstreams
from argosy.contracts.errors import Unavailable
from argosy.contracts.request import RequestContext
from argosy.contracts.rerank import RerankRequest, RerankResponse
from argosy.contracts.retrieval import RetrievalRequest, RetrievalResponse
from argosy.models.languages import known_languages
from argosy.services.retrieval.engine import RetrievalEngine
from argosy.services.retrieval.reranking.hybrid import HybridScorer
from argosy.services.retrieval.reranking.loading import RerankLoader
from argosy.services.retrieval.reranking.reranker import Reranker
from argosy.services.retrieval.reranking.stage import RerankStage
from argosy.services.retrieval.reranking.texts import rerank_texts
from argosy.serving.app import create_app, typed
from argosy.serving.kit import Details, Kit

LOADING_PATIENCE_S = 20.0
"""Longest time for which the start waits for the reranker; later it serves without one until it is loaded."""


class RetrievalService:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._settings = kit.fleet.services.retrieval.rerank
        self._upstreams = Upstreams.of(kit)
        self._engine: RetrievalEngine | None = None
        self._hybrid: HybridScorer | None = None
        self._loader: RerankLoader | None = None
        gateway = kit.fleet.services.gateway
        kit.timeouts_s = {"/search": gateway.search_timeout_s, "/rerank": gateway.embeddings_timeout_s}
        kit.details = self._details
        kit.degraded = self._trouble
        self._app = create_app(
            kit,
            [
                typed("/search", RetrievalRequest, self._search),
                typed("/rerank", RerankRequest, self._rerank),
            ],
        )

    @property
    def app(self) -> ASGIApp:
        return self._app

    async def start(self) -> None:
        await self._upstreams.start()
        stage: RerankStage | None = None
        if self._settings.backend != "none":
            self._loader = RerankLoader(self._settings, self._kit.record.cpu_share, os.environ)
            self._kit.loops.start("loading of the reranker", self._loader.run)
            await self._loader.tried(LOADING_PATIENCE_S)
            stage = RerankStage(self._settings, self._reranker)
        self._hybrid = HybridScorer(self._upstreams.embedding)
        self._engine = RetrievalEngine(
            self._upstreams.embedding,
            self._upstreams.store,
            self._kit.fleet.services.retrieval.candidates,
            languages=known_languages(self._kit.fleet.services.embedding),
            rerank=stage,
        )

    async def stop(self) -> None:
        if self._loader is not None:
            await self._loader.close()
        await self._upstreams.stop()

    async def _search(self, request: RetrievalRequest, context: RequestContext) -> RetrievalResponse:
        if self._engine is None:
            raise Unavailable("The retrieval service is still starting. Try again in a second.", retry_after_s=1.0)
        answer = await self._engine.search(request, context)
        for missing in answer.degraded:
            self._kit.metrics.count_degraded(missing)
        return answer

    async def _rerank(self, request: RerankRequest, context: RequestContext) -> RerankResponse:
        if self._hybrid is None:
            raise Unavailable("The retrieval service is still starting. Try again in a second.", retry_after_s=1.0)
        configured = self._loader is not None
        answer = await rerank_texts(request, self._reranker(), self._hybrid, context, configured=configured)
        for missing in answer.degraded:
            self._kit.metrics.count_degraded(missing)
        return answer

    def _reranker(self) -> Reranker | None:
        return None if self._loader is None else self._loader.reranker

    def _details(self) -> Details:
        if self._settings.backend == "none":
            return {}
        reranker = self._reranker()
        return {"rerank": self._settings.backend, "reranker": reranker.name if reranker is not None else "not loaded"}

    def _trouble(self) -> str:
        reranker = self._reranker()
        return reranker.trouble if reranker is not None else ""
