"""HTTP service of the store. One engine thread does all work except waiting for the disk, which never delays a search.

Publications that arrive while others are being made durable wait for these and then share one `fsync`.
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
from argosy.config.services import StoreSettings
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
from argosy.services.store.changes import Change
from argosy.services.store.engine import StoreEngine
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
"""Points copied in one step of a rewriting, which blocks all other work for about 10 ms."""
COPY_SHARE = 3.0
"""Divisor of the engine's time: the steps of a rewriting take at most 1 / COPY_SHARE of it."""
FLUSH_POINTS = 2000
"""Points after which the tables are flushed, so that reopening the store replays few updates (about a second)."""
MAX_GROUP = 256
"""Most publications that share one `fsync`."""
DEFAULT_COLLECTION = "default"
"""Collection that always exists, so that a search in a new fleet returns no chunks instead of an error."""

log = logger("store")


class StoreService:
    """HTTP service around one `StoreEngine`."""

    def __init__(self, kit: Kit) -> None:
        if not isinstance(kit.settings, StoreSettings):
            raise TypeError("the store needs StoreSettings")
        self._settings = kit.settings
        self._folder = Path(kit.record.data_dir)
        self._calls = EngineCalls(kit.run_file, time.time)
        self._thread = EngineThread("store-engine")
        self._disk = ThreadPoolExecutor(max_workers=2, thread_name_prefix="store-disk")
        self._changes: Grouped[Change, None] = Grouped(self._change_together, most=MAX_GROUP)
        self._changing = asyncio.Lock()
        """Lock held while changes of visibility are made, and by work that must not run at the same time."""
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
        """Open the engine, create the default collection, and start the sweep."""
        self._engine = await self._thread.run(lambda: StoreEngine(self._folder, calls=self._calls))
        await self._thread.run(lambda: self._engine.ensure(EnsureCollection(DEFAULT_COLLECTION)))
        self._sweeping = self._loops.start(SWEEPING, self._sweep)
        await self._upstreams.start()

    async def stop(self) -> None:
        """Stop the sweep, flush the engine and close it."""
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
                f"publications has more than {MAX_GROUP} entries; send several requests.", param="publications"
            )
        with self._queued():
            calls = map(self._changes, request.publications)
            return [_outcome(made) for made in await asyncio.gather(*calls, return_exceptions=True)]

    async def _change_together(self, changes: Sequence[Change]) -> list[Exception | None]:
        """Make a group of changes visible with one wait for the disk. Returns: the error of each change, or None."""
        async with self._changing:
            decided = await self._thread.run(lambda: self._engine.changes.decide(changes))
            try:
                await asyncio.get_running_loop().run_in_executor(self._disk, self._engine.changes.record, decided)
            finally:
                await self._thread.run(lambda: self._engine.changes.apply(decided))
        self._stale.set()
        return [one.error for one in decided]

    async def _ensure(self, request: EnsureCollection, context: RequestContext) -> None:
        async with self._changing:  # this may delete an older generation
            await self._run(lambda: self._engine.ensure(request), context)

    async def _drop(self, request: EnsureCollection, context: RequestContext) -> None:
        async with self._changing:
            await self._run(lambda: self._engine.delete_collection(request.collection, request.generation), context)

    def _on_engine(self, work: Callable[[StoreEngine, M], R]) -> Callable[[M, RequestContext], Awaitable[R]]:
        async def call(request: M, context: RequestContext) -> R:
            return await self._run(lambda: work(self._engine, request), context)

        return call

    async def _run(self, work: Callable[[], R], context: RequestContext, *, urgent: bool = False) -> R:
        """Queue work for the engine thread and return its result.

        Raises: Overloaded when the queue is full; DeadlineExceeded when the deadline passes before the work begins.
        """

        def when_due() -> R:
            context.deadline.require("the store could begin")
            return work()

        with self._queued():
            return await self._thread.run(when_due, urgent=urgent)

    @contextlib.contextmanager
    def _queued(self) -> Iterator[None]:
        if self._waiting >= self._settings.max_queued:
            raise Overloaded(
                f"The store has {self._waiting} operations waiting, its limit. Try again after the time in "
                "Retry-After.",
                retry_after_s=1.0,
            )
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _sweep(self) -> None:
        """Delete stale points, rewrite shards with deleted points, and flush shards, until cancelled.

        Normally only shards with FLUSH_POINTS updates are flushed; when no change arrives for IDLE_SWEEP_S, all shards
        with updates are.
        """
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
                log.warning("sweep postponed", reason=error.message)
            except Exception as error:
                self._loops.failed(SWEEPING, error)
            await asyncio.sleep(SWEEP_PAUSE_S)

    async def _clear(self) -> None:
        """Delete and rewrite until nothing is due, with pauses in which waiting engine calls run."""
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
        async with self._changing:  # the shard of an unfinished change must not be replaced
            return await self._thread.run(lambda: self._engine.rewriting.step(COPIED_POINTS))

    async def _delete_stale(self) -> int:
        async with self._changing:
            swept = await self._thread.run(lambda: self._engine.sweep.delete_stale(SWEEP_POINTS))
            if swept.cleared:
                await asyncio.get_running_loop().run_in_executor(self._disk, self._engine.sweep.record, swept)
                await self._thread.run(lambda: self._engine.sweep.apply(swept))
        return swept.points

    async def _flush(self, at_least: int) -> None:
        """Flush shards with at least `at_least` points in their log.

        Most data is written back before the flush, while searches continue.
        """
        for shard in await self._thread.run(lambda: self._engine.shards.unflushed(at_least)):
            await asyncio.get_running_loop().run_in_executor(self._disk, shard.write_back)
            async with self._changing:  # the collection may have been dropped and its shard closed in the meantime
                if shard in await self._thread.run(lambda: self._engine.shards.unflushed(1)):
                    await self._thread.run(shard.flush)

    def _details(self) -> Details:
        return {"waiting": self._waiting}

    def _degraded(self) -> str:
        engine = getattr(self, "_engine", None)
        broken = engine.shards.broken if engine is not None else {}
        return f"collections that cannot be opened: {', '.join(sorted(broken))}" if broken else ""


def _stats(engine: StoreEngine, request: None) -> list[CollectionStats]:
    return engine.stats()


def _upsert_many(engine: StoreEngine, request: UpsertManyRequest) -> list[StoreOutcome]:
    return [StoreOutcome.of(error) for error in engine.upsert_many(request.upserts)]


def _outcome(made: BaseException | None) -> StoreOutcome:
    if made is None or isinstance(made, ArgosyError):
        return StoreOutcome.of(made)
    raise made
