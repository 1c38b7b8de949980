"""The store over HTTP: one engine thread for everything but waiting for the disk, which never keeps a search waiting.

Publications that arrive while others are being made durable wait for those and then share one `fsync`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from argosy.clients.upstreams import Upstreams
from argosy.config.models import StoreSettings
from argosy.contracts.errors import ArgosyError, InvalidRequest, Overloaded, StorageFull
from argosy.contracts.request import RequestContext
from argosy.contracts.store import (
    CollectionStats,
    EnsureCollection,
    ForgetRequest,
    PublishManyRequest,
    PublishRequest,
    StoreOutcome,
    StoreSearchRequest,
    StoreSearchResponse,
    UpsertManyRequest,
    UpsertRequest,
)
from argosy.services.store.engine import Change, StoreEngine
from argosy.services.store.engine_thread import EngineThread
from argosy.serving.app import create_app, typed
from argosy.serving.engine_call import EngineCalls
from argosy.serving.grouping import Grouped
from argosy.serving.kit import Details, Kit
from argosy.telemetry.logs import logger

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
FLUSH_POINTS = 2000
"""Points after which the tables are flushed, so that opening the store again replays few updates (about a second)."""
MAX_GROUP = 256
"""Publications that share one wait for the disk."""
DEFAULT_COLLECTION = "default"
"""Always there, so that a search of a new fleet finds nothing rather than an error."""

log = logger("store")


class StoreService:
    def __init__(self, kit: Kit) -> None:
        if not isinstance(kit.settings, StoreSettings):
            raise TypeError("the store needs its own settings")
        self._settings = kit.settings
        self._folder = Path(kit.record.data_dir)
        self._calls = EngineCalls(kit.run_file, time.time)
        self._thread = EngineThread("store-engine")
        self._disk = ThreadPoolExecutor(max_workers=2, thread_name_prefix="store-disk")
        self._changes: Grouped[Change, None] = Grouped(self._change_together, most=MAX_GROUP)
        self._changing = asyncio.Lock()
        """Held while changes of what is visible are on their way, and by whoever must not run meanwhile."""
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
                typed("/collections", EnsureCollection, self._ensure),
                typed("/collections/drop", EnsureCollection, self._drop),
                typed("/upsert", UpsertRequest, self._on_engine(StoreEngine.upsert)),
                typed("/upsert/many", UpsertManyRequest, self._on_engine(_upsert_many)),
                typed("/publish", PublishRequest, self._change),
                typed("/publish/many", PublishManyRequest, self._publish_many),
                typed("/forget", ForgetRequest, self._change),
                typed("/search", StoreSearchRequest, self._search),
                typed("/stats", type(None), self._on_engine(_stats)),
            ],
        )

    async def start(self) -> None:
        self._engine = await self._thread.run(lambda: StoreEngine(self._folder, calls=self._calls))
        await self._thread.run(lambda: self._engine.ensure(EnsureCollection(DEFAULT_COLLECTION)))
        self._sweeping = self._loops.start(SWEEPING, self._sweep)
        await self._upstreams.start()

    async def stop(self) -> None:
        await self._upstreams.stop()
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping
            async with self._changing:
                await self._thread.run(self._engine.close)
        self._disk.shutdown()
        self._thread.close()

    async def _search(self, request: StoreSearchRequest, context: RequestContext) -> StoreSearchResponse:
        return await self._run(lambda: self._engine.search(request), context, urgent=True)

    async def _change(self, request: Change, context: RequestContext) -> None:
        with self._queued():
            await self._changes(request)

    async def _publish_many(self, request: PublishManyRequest, context: RequestContext) -> list[StoreOutcome]:
        if len(request.publications) > MAX_GROUP:
            raise InvalidRequest(
                f"publications has more than {MAX_GROUP} entries; send it in parts.", param="publications"
            )
        with self._queued():
            calls = map(self._changes, request.publications)
            return [_outcome(made) for made in await asyncio.gather(*calls, return_exceptions=True)]

    async def _change_together(self, changes: Sequence[Change]) -> list[Exception | None]:
        """Make changes visible that all wait for the disk at the same time."""
        async with self._changing:
            decided = await self._thread.run(lambda: self._engine.decide(changes))
            try:
                await asyncio.get_running_loop().run_in_executor(self._disk, self._engine.record, decided)
            finally:
                await self._thread.run(lambda: self._engine.apply(decided))
        self._stale.set()
        return [one.error for one in decided]

    async def _ensure(self, request: EnsureCollection, context: RequestContext) -> None:
        async with self._changing:  # an older generation may go
            await self._run(lambda: self._engine.ensure(request), context)

    async def _drop(self, request: EnsureCollection, context: RequestContext) -> None:
        async with self._changing:
            await self._run(lambda: self._engine.delete_collection(request.collection, request.generation), context)

    def _on_engine(self, work: Callable[[StoreEngine, M], R]) -> Callable[[M, RequestContext], Awaitable[R]]:
        async def call(request: M, context: RequestContext) -> R:
            return await self._run(lambda: work(self._engine, request), context)

        return call

    async def _run(self, work: Callable[[], R], context: RequestContext, *, urgent: bool = False) -> R:
        """Queues work for the engine thread. Raises: Overloaded when the queue is full; DeadlineExceeded."""

        def when_due() -> R:
            context.deadline.require("the store could begin")
            return work()

        with self._queued():
            return await self._thread.run(when_due, urgent=urgent)

    @contextlib.contextmanager
    def _queued(self) -> Iterator[None]:
        if self._waiting >= self._settings.max_queued:
            raise Overloaded(f"The store has {self._waiting} operations waiting, its limit.", retry_after_s=1.0)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _sweep(self) -> None:
        """Delete points that nobody can see, rewrite shards that hold deleted ones, and flush what was written; the
        tables of a shard that nothing is written to any more are flushed whole."""
        while True:
            idle = False
            try:
                async with asyncio.timeout(IDLE_SWEEP_S):
                    await self._stale.wait()
            except TimeoutError:
                idle = True
            self._stale.clear()
            try:
                await self._clear()
                await self._flush(1 if idle else FLUSH_POINTS)
            except StorageFull as error:
                log.warning("sweep or rewriting postponed", reason=error.message)
            except Exception as error:
                self._loops.failed(SWEEPING, error)
            await asyncio.sleep(SWEEP_PAUSE_S)

    async def _clear(self) -> None:
        """Go on until nothing is due. Whatever waits for the engine comes first."""
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            deleted = await self._delete_stale()
            copied = not deleted and await self._rewrite()
            if not deleted and not copied:
                return
            took_s = loop.time() - began_s
            await asyncio.sleep(SWEEP_PAUSE_S if deleted else took_s * (COPY_SHARE - 1.0))
            await self._flush(FLUSH_POINTS)

    async def _rewrite(self) -> bool:
        async with self._changing:  # the shard of a change that is on its way must not be replaced
            return await self._thread.run(lambda: self._engine.rewrite(COPIED_POINTS))

    async def _delete_stale(self) -> int:
        async with self._changing:
            swept = await self._thread.run(lambda: self._engine.delete_stale(SWEEP_POINTS))
            if swept.cleared:
                await asyncio.get_running_loop().run_in_executor(self._disk, self._engine.record_swept, swept)
                await self._thread.run(lambda: self._engine.apply_swept(swept))
        return swept.points

    async def _flush(self, at_least: int) -> None:
        """Flush shards with so many points in their log. Most is written back before, while searches go on."""
        for shard in await self._thread.run(lambda: self._engine.unflushed(at_least)):
            await asyncio.get_running_loop().run_in_executor(self._disk, shard.write_back)
            async with self._changing:  # meanwhile the collection may have been dropped, and its shard closed
                if shard in await self._thread.run(lambda: self._engine.unflushed(1)):
                    await self._thread.run(shard.flush)

    def _details(self) -> Details:
        return {"waiting": self._waiting}

    def _degraded(self) -> str:
        engine = getattr(self, "_engine", None)
        broken = engine.broken if engine is not None else {}
        return f"collections that cannot be opened: {', '.join(sorted(broken))}" if broken else ""


def _stats(engine: StoreEngine, request: None) -> list[CollectionStats]:
    return engine.stats()


def _upsert_many(engine: StoreEngine, request: UpsertManyRequest) -> list[StoreOutcome]:
    return [StoreOutcome.of(error) for error in engine.upsert_many(request.upserts)]


def _outcome(made: BaseException | None) -> StoreOutcome:
    if made is None or isinstance(made, ArgosyError):
        return StoreOutcome.of(made)
    raise made
