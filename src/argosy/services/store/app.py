"""The store over HTTP: one engine thread, in the order of arrival, points of old versions swept when it is idle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from argosy.clients.upstreams import Upstreams
from argosy.config.models import StoreSettings
from argosy.contracts.errors import Overloaded, StorageFull
from argosy.contracts.request import RequestContext
from argosy.contracts.store import (
    CollectionStats,
    EnsureCollection,
    ForgetRequest,
    PublishRequest,
    StoreSearchRequest,
    StoreSearchResponse,
    UpsertRequest,
)
from argosy.services.store.engine import StoreEngine
from argosy.serving.app import create_app, typed
from argosy.serving.kit import Details, Kit
from argosy.telemetry.logs import logger

log = logger("store")

M = TypeVar("M")
R = TypeVar("R")
SWEEP_POINTS = 200
SWEEP_PAUSE_S = 0.05
IDLE_SWEEP_S = 5.0
SWEEPING = "sweep of old points"
COPIED_POINTS = 64
"""In one step of a rewriting: it holds up everything else for about 10 ms."""
COPY_SHARE = 3.0
"""Steps of a rewriting take at most one part in this many of the engine's time."""
DEFAULT_COLLECTION = "default"
"""Always there, so that a search of a new fleet finds nothing rather than an error."""


class StoreService:
    def __init__(self, kit: Kit) -> None:
        if not isinstance(kit.settings, StoreSettings):
            raise TypeError("the store needs its own settings")
        self._settings = kit.settings
        self._folder = Path(kit.record.data_dir)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-engine")
        self._waiting = 0
        self._stale = asyncio.Event()
        self._sweeping: asyncio.Task[None] | None = None
        self._loops = kit.loops
        self._upstreams = Upstreams.of(kit)
        kit.load.queued = lambda: self._waiting
        kit.details = self._details
        kit.degraded = self._degraded
        self.app = create_app(
            kit,
            [
                typed("/collections", EnsureCollection, self._on_engine(StoreEngine.ensure)),
                typed("/collections/drop", EnsureCollection, self._on_engine(_drop)),
                typed("/upsert", UpsertRequest, self._on_engine(StoreEngine.upsert)),
                typed("/publish", PublishRequest, self._on_engine(StoreEngine.publish, makes_stale=True)),
                typed("/forget", ForgetRequest, self._on_engine(StoreEngine.forget, makes_stale=True)),
                typed("/search", StoreSearchRequest, self._search),
                typed("/stats", type(None), self._on_engine(_stats)),
            ],
        )

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._engine = await loop.run_in_executor(self._thread, StoreEngine, self._folder)
        await loop.run_in_executor(self._thread, self._engine.ensure, EnsureCollection(DEFAULT_COLLECTION))
        self._sweeping = self._loops.start(SWEEPING, self._sweep)
        await self._upstreams.start()

    async def stop(self) -> None:
        await self._upstreams.stop()
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping
            await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.close)
        self._thread.shutdown()

    async def _search(self, request: StoreSearchRequest, context: RequestContext) -> StoreSearchResponse:
        return await self._run(lambda: self._engine.search(request), context)

    def _on_engine(
        self, work: Callable[[StoreEngine, M], R], *, makes_stale: bool = False
    ) -> Callable[[M, RequestContext], Awaitable[R]]:
        async def call(request: M, context: RequestContext) -> R:
            result = await self._run(lambda: work(self._engine, request), context)
            if makes_stale:
                self._stale.set()
            return result

        return call

    async def _run(self, work: Callable[[], R], context: RequestContext) -> R:
        """Queues work for the engine thread. Raises: Overloaded when the queue is full; DeadlineExceeded."""
        if self._waiting >= self._settings.max_queued:
            raise Overloaded(f"The store has {self._waiting} operations waiting, its limit.", retry_after_s=1.0)

        def when_due() -> R:
            context.deadline.require("the store could begin")
            return work()

        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, when_due)
        finally:
            self._waiting -= 1

    async def _sweep(self) -> None:
        """Delete points that nobody can see and rewrite shards that hold deleted ones, a few points at a time."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SWEEP_S):
                    await self._stale.wait()
            self._stale.clear()
            try:
                await self._clear()
            except StorageFull as error:
                log.warning("rewriting postponed", reason=error.message)
            except Exception as error:
                self._loops.failed(SWEEPING, error)

    async def _clear(self) -> None:
        """Go on until nothing is due. Whatever waits for the engine comes first."""
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            deleted = await loop.run_in_executor(self._thread, self._engine.sweep, SWEEP_POINTS)
            copied = not deleted and await loop.run_in_executor(self._thread, self._engine.rewrite, COPIED_POINTS)
            if not deleted and not copied:
                return
            took_s = loop.time() - began_s
            await asyncio.sleep(SWEEP_PAUSE_S if deleted else took_s * (COPY_SHARE - 1.0))

    def _details(self) -> Details:
        return {"waiting": self._waiting}

    def _degraded(self) -> str:
        engine = getattr(self, "_engine", None)
        broken = engine.broken if engine is not None else {}
        return f"collections that cannot be opened: {', '.join(sorted(broken))}" if broken else ""


def _drop(engine: StoreEngine, request: EnsureCollection) -> None:
    engine.delete_collection(request.collection, request.generation)


def _stats(engine: StoreEngine, request: None) -> list[CollectionStats]:
    return engine.stats()
