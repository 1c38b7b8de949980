"""Embedding service: one engine, one batcher, one cache, and the routes `POST /embed` and `POST /model`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from argosy.clients.upstreams import Upstreams
from argosy.config.services import EmbeddingSettings
from argosy.contracts.embedding import EmbedRequest, EmbedResponse, ModelInfo, TextKind
from argosy.contracts.errors import Unavailable
from argosy.contracts.request import Deadline, Priority, RequestContext
from argosy.services.embedding.cache.cache import EmbeddingCache
from argosy.services.embedding.engine import Embedder, keep_in
from argosy.services.embedding.loading import LoadedEngine, load
from argosy.services.embedding.report import CacheCollector, cache_details
from argosy.serving.app import create_app, typed
from argosy.serving.batching.batcher import Batcher
from argosy.serving.kit import Details, Kit

WARM_UP_WORDS = (1, 16, 120)
"""Lengths, in words, of the texts that are embedded before the replica is ready.

The first batch takes the time that the engine needs to set itself up; the others measure the cost of a batch.
"""
WARM_UP_S = 60.0


class EmbeddingService:
    def __init__(self, kit: Kit) -> None:
        if not isinstance(kit.settings, EmbeddingSettings):
            raise TypeError("the embedding service needs its own settings")
        self._kit = kit
        self._settings = kit.settings
        self._loaded: LoadedEngine | None = None
        self._batcher: Batcher | None = None
        self._cache: EmbeddingCache | None = None
        self._embedder: Embedder | None = None
        self._upstreams = Upstreams.of(kit)
        kit.load.queued = lambda: self._batcher.queued if self._batcher is not None else 0
        kit.details = self._details
        self.app = create_app(
            kit,
            [typed("/embed", EmbedRequest, self._embed), typed("/model", type(None), self._model)],
        )

    async def start(self) -> None:
        """Load the model, warm it up and connect to the other services.

        Raises: ModelMissing when there are no usable model files; Unavailable or another ArgosyError when the endpoint
        cannot be used. The message says what was tried and what to do.
        """
        settings = self._settings
        self._loaded = loaded = await asyncio.to_thread(load, settings, self._kit.record.cpu_share, os.environ)
        self._kit.degraded = loaded.fault
        splits = settings.long_texts == "split"
        self._cache = cache = await asyncio.to_thread(
            EmbeddingCache.open,
            Path(self._kit.record.data_dir),
            loaded.engine.info,
            settings,
            policy="split" if splits else "truncate",
        )
        self._kit.metrics.registry.register(CacheCollector(cache.stats))
        self._batcher = Batcher(
            loaded.engine,
            limits=loaded.limits,
            max_queue_texts=settings.max_queued_texts,
            workers=loaded.workers,
            refuse_long=settings.long_texts != "truncate",
            computed=keep_in(cache),
        )
        self._embedder = Embedder(loaded.engine, self._batcher, cache, settings.long_texts)
        if loaded.local:
            await self._warm_up(self._batcher)
        await self._upstreams.start()

    async def stop(self) -> None:
        await self._upstreams.stop()
        if self._batcher is not None:
            await self._batcher.close()
        if self._cache is not None:
            await asyncio.to_thread(self._cache.close)
        if self._loaded is not None:
            self._loaded.close()

    async def _warm_up(self, batcher: Batcher) -> None:
        for words in WARM_UP_WORDS:
            context = RequestContext("warm-up", Deadline.after(WARM_UP_S, self._kit.clock), Priority.BULK)
            await batcher.embed(["tide " * words], TextKind.PASSAGE, context)

    async def _embed(self, request: EmbedRequest, context: RequestContext) -> EmbedResponse:
        if self._embedder is None:
            raise Unavailable("The embedding service is still starting.", retry_after_s=1.0)
        return await self._embedder.embed(request, context)

    async def _model(self, request: None, context: RequestContext) -> ModelInfo:
        if self._loaded is None:
            raise Unavailable("The embedding service is still starting.", retry_after_s=1.0)
        return self._loaded.engine.info

    def _details(self) -> Details:
        if self._loaded is None or self._cache is None:
            return {"model": self._settings.model}
        info = self._loaded.engine.info
        return {
            "model": info.model,
            "dimensions": info.dimensions,
            "max_tokens": info.max_tokens,
            **cache_details(self._cache.stats()),
        }
