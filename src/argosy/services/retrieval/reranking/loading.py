"""Opening of the reranker that the settings select, in the background and repeated until it succeeds.

The stage is optional: a service whose model is missing serves searches without it and says so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import aiohttp

from argosy.config.rerank import RerankSettings
from argosy.services.retrieval.reranking.apis import APIS
from argosy.services.retrieval.reranking.endpoint import EndpointReranker
from argosy.services.retrieval.reranking.local import LocalReranker
from argosy.services.retrieval.reranking.reranker import BoundedReranker, Reranker
from argosy.telemetry.logs import logger

log = logger("rerank")


class RerankLoader:
    def __init__(self, settings: RerankSettings, cpu_share: float, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._cpu_share = cpu_share
        self._environ = environ
        self._tried = asyncio.Event()
        self.reranker: Reranker | None = None
        """Reranker in use; None before it is opened."""

    async def run(self) -> None:
        """Open the reranker.

        Raises: ModelMissing when a model cannot be loaded; its message says what was tried.
        """
        try:
            self.reranker = await opened(self._settings, self._cpu_share, self._environ)
        finally:
            self._tried.set()
        log.info("reranker in use", backend=self._settings.backend, model=self.reranker.name)

    async def tried(self, patience_s: float) -> None:
        """Wait until the first attempt to open the reranker has ended, but not longer than `patience_s`."""
        try:
            async with asyncio.timeout(patience_s):
                await self._tried.wait()
        except TimeoutError:
            log.warning("reranker still loading", model=self._settings.model)

    async def close(self) -> None:
        if self.reranker is not None:
            await self.reranker.close()


async def opened(settings: RerankSettings, cpu_share: float, environ: Mapping[str, str]) -> Reranker:
    """Return the reranker of the settings. Only the selected backend's key is read from the environment.

    Raises: ModelMissing when a model cannot be loaded.
    """
    inner: Reranker
    if settings.backend == "onnx":
        inner = await asyncio.to_thread(_local, settings, cpu_share)
    else:
        api = APIS[settings.backend]
        session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        key = environ.get(api.key) or None
        inner = EndpointReranker(session, api, settings.base_url or api.url, settings.model, key)
    return BoundedReranker(inner, settings.max_queued)


def _local(settings: RerankSettings, cpu_share: float) -> LocalReranker:
    """Load a model, and score one pair so that the first search does not pay for the engine's own start."""
    from argosy.models.cross_encoder import CrossEncoder  # these import ONNX Runtime, which no other backend needs
    from argosy.models.resolver import resolve

    model = CrossEncoder(resolve(settings.model, fetch=True), max_tokens=settings.max_tokens)
    model.scores(model.read("tide", ["The tide turns."]))
    threads = settings.threads or max(1, min(round(cpu_share), os.cpu_count() or 1))
    return LocalReranker(model, threads=threads, max_batch_tokens=settings.max_batch_tokens)
