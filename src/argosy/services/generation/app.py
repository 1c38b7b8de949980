"""Generation service: `POST /answer` streams an answer as lines of AnswerEvent (NDJSON)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from starlette.types import ASGIApp

from argosy.clients.upstreams import Upstreams
from argosy.contracts.errors import Unavailable
from argosy.contracts.generation import GenerateRequest, StandaloneRequest, StandaloneResponse
from argosy.contracts.request import RequestContext
from argosy.services.generation.engine import GenerationEngine
from argosy.services.generation.loading import Opened, opened
from argosy.serving.app import create_app, typed, typed_stream
from argosy.serving.kit import Details, Kit
from argosy.telemetry.logs import logger

log = logger("generation")


class GenerationService:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._upstreams = Upstreams.of(kit)
        self._opened: Opened | None = None
        self._engine: GenerationEngine | None = None
        kit.timeouts_s = {"/answer": kit.fleet.services.gateway.chat_timeout_s}
        self._app = create_app(
            kit,
            [
                typed_stream("/answer", GenerateRequest, self._answer),
                typed("/standalone", StandaloneRequest, self._standalone),
            ],
        )

    @property
    def app(self) -> ASGIApp:
        return self._app

    async def start(self) -> None:
        await self._upstreams.start()
        settings = self._kit.fleet.services.generation
        self._opened = await opened(settings, self._upstreams, os.environ, self._kit.record.cpu_share)
        self._engine = GenerationEngine(self._opened.backend, self._kit.metrics.count_degraded)
        self._kit.details = self._details
        self._kit.degraded = self._opened.fault
        if self._opened.prompt:
            log.info("language model in use", backend=settings.backend, prompt=self._opened.prompt)

    async def stop(self) -> None:
        if self._opened is not None:
            await self._opened.backend.close()
        await self._upstreams.stop()

    async def _answer(self, request: GenerateRequest, context: RequestContext) -> AsyncIterator[bytes]:
        if self._engine is None:
            raise Unavailable("The generation service is still starting. Try again in a second.", retry_after_s=1.0)
        return await self._engine.answer(request, context)

    async def _standalone(self, request: StandaloneRequest, context: RequestContext) -> StandaloneResponse:
        if self._opened is None or self._opened.rewriter is None:
            raise Unavailable("The generation service has no language model to rewrite questions with.")
        return await self._opened.rewriter.standalone(request, context)

    def _details(self) -> Details:
        settings = self._kit.fleet.services.generation
        details: Details = {"backend": settings.backend, "model": settings.model or settings.backend}
        if self._opened is not None and self._opened.prompt:
            details["prompt"] = self._opened.prompt
        if self._opened is not None and self._opened.memory_bytes is not None:
            details["model_memory_bytes"] = self._opened.memory_bytes()
        return details
