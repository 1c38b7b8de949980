"""Embedding over HTTP: one engine, one batcher, two routes."""

from __future__ import annotations

import asyncio
import os

from argosy.clients.upstreams import Upstreams
from argosy.config.models import EmbeddingSettings
from argosy.contracts.embedding import EmbedRequest, EmbedResponse, ModelInfo
from argosy.contracts.errors import InvalidRequest
from argosy.contracts.request import RequestContext
from argosy.contracts.vectors import EmbeddingEngine
from argosy.serving.app import create_app, typed
from argosy.serving.batching import Batcher
from argosy.serving.kit import Details, Kit

MAX_TEXTS = 2048
MAX_TEXT_CHARS = 1_000_000


class EmbeddingService:
    def __init__(self, kit: Kit) -> None:
        if not isinstance(kit.settings, EmbeddingSettings):
            raise TypeError("the embedding service needs its own settings")
        self._kit = kit
        self._settings = kit.settings
        self._batcher: Batcher | None = None
        self._upstreams = Upstreams.of(kit)
        kit.load.queued = lambda: self._batcher.queued if self._batcher is not None else 0
        kit.details = self._details
        self.app = create_app(
            kit,
            [typed("/embed", EmbedRequest, self._embed), typed("/model", type(None), self._model)],
        )

    async def start(self) -> None:
        """Loads the model. Raises: ModelMissing, saying what was tried and what to do."""
        self._engine = await asyncio.to_thread(load_engine, self._settings)
        self._batcher = Batcher(
            self._engine,
            max_batch_tokens=self._settings.max_batch_tokens,
            max_queue_texts=self._settings.max_queued_texts,
            workers=self._settings.threads or max(1, min(round(self._kit.record.cpu_share), os.cpu_count() or 1)),
        )
        await self._upstreams.start()

    async def stop(self) -> None:
        await self._upstreams.stop()
        if self._batcher is not None:
            await self._batcher.close()

    async def _embed(self, request: EmbedRequest, context: RequestContext) -> EmbedResponse:
        check(request)
        assert self._batcher is not None
        result = await self._batcher.embed(request.texts, request.kind, context)
        info = self._engine.info
        return EmbedResponse(
            model=info.model,
            dimensions=info.dimensions,
            vectors=result.vectors.astype("<f4", copy=False).tobytes(),
            tokens=result.tokens,
            truncated=result.truncated,
        )

    async def _model(self, request: None, context: RequestContext) -> ModelInfo:
        return self._engine.info

    def _details(self) -> Details:
        if self._batcher is None:
            return {"model": self._settings.model}
        info = self._engine.info
        return {"model": info.model, "dimensions": info.dimensions, "max_tokens": info.max_tokens}


def check(request: EmbedRequest) -> None:
    """Raises: InvalidRequest naming the first text that cannot be embedded."""
    if not request.texts:
        raise InvalidRequest("texts is empty; send at least one.", param="texts")
    if len(request.texts) > MAX_TEXTS:
        raise InvalidRequest(f"texts has {len(request.texts)} entries, the limit is {MAX_TEXTS}.", param="texts")
    for index, text in enumerate(request.texts):
        if not text.strip():
            raise InvalidRequest(f"texts[{index}] is empty; send text.", param=f"texts[{index}]")
        if len(text) > MAX_TEXT_CHARS:
            raise InvalidRequest(
                f"texts[{index}] has {len(text)} characters, the limit is {MAX_TEXT_CHARS}.", param=f"texts[{index}]"
            )


def load_engine(settings: EmbeddingSettings) -> EmbeddingEngine:
    """The engine the settings select. Blocking.

    One thread a batch: several batches at once on a core each cost less than one batch on all of them, and a query
    need not wait for the batch before it.
    """
    if settings.backend == "fake":
        from argosy.services.embedding.backends.fake import FakeEngine

        return FakeEngine()
    from argosy.models.resolver import resolve
    from argosy.services.embedding.backends.onnx import OnnxEngine

    return OnnxEngine(resolve(settings.model, fetch=True), threads=1)
