"""Generation service: `POST /answer` streams an answer as lines of AnswerEvent (NDJSON)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
from starlette.types import ASGIApp

from argosy.clients.upstreams import Upstreams
from argosy.config.services import GenerationSettings
from argosy.contracts.errors import Unavailable
from argosy.contracts.generation import AnswerBackend, GenerateRequest
from argosy.contracts.request import RequestContext
from argosy.services.generation.backends.extractive import ExtractiveBackend
from argosy.services.generation.backends.openai import OpenAIBackend
from argosy.services.generation.engine import GenerationEngine
from argosy.serving.app import create_app, typed_stream
from argosy.serving.kit import Kit

OPENAI_URL = "https://api.openai.com/v1"


def _extractive(settings: GenerationSettings, upstreams: Upstreams, environ: Mapping[str, str]) -> AnswerBackend:
    return ExtractiveBackend(upstreams.embedding, settings.max_sentences)


def _openai(settings: GenerationSettings, upstreams: Upstreams, environ: Mapping[str, str]) -> AnswerBackend:
    """Open the endpoint. Only this backend reads the address and the key from the environment."""
    return OpenAIBackend(
        aiohttp.ClientSession(),
        settings.base_url or environ.get("OPENAI_BASE_URL") or OPENAI_URL,
        settings.model,
        environ.get("OPENAI_API_KEY") or None,
    )


BACKENDS: Mapping[str, Callable[[GenerationSettings, Upstreams, Mapping[str, str]], AnswerBackend]] = {
    "extractive": _extractive,
    "openai": _openai,
}


class GenerationService:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._upstreams = Upstreams.of(kit)
        self._backend: AnswerBackend | None = None
        self._engine: GenerationEngine | None = None
        kit.timeouts_s = {"/answer": kit.fleet.services.gateway.chat_timeout_s}
        self._app = create_app(kit, [typed_stream("/answer", GenerateRequest, self._answer)])

    @property
    def app(self) -> ASGIApp:
        return self._app

    async def start(self) -> None:
        await self._upstreams.start()
        settings = self._kit.fleet.services.generation
        self._backend = BACKENDS[settings.backend](settings, self._upstreams, os.environ)
        self._engine = GenerationEngine(self._backend, self._kit.metrics.count_degraded)
        self._kit.details = lambda: {"backend": settings.backend, "model": settings.model or settings.backend}

    async def stop(self) -> None:
        if self._backend is not None:
            await self._backend.close()
        await self._upstreams.stop()

    async def _answer(self, request: GenerateRequest, context: RequestContext) -> AsyncIterator[bytes]:
        if self._engine is None:
            raise Unavailable("The generation service is still starting. Try again in a second.", retry_after_s=1.0)
        return await self._engine.answer(request, context)
