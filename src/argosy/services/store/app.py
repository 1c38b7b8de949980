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
from argosy.contracts.errors import ArgosyError, InvalidRequest, Overloaded
from argosy.contracts.request import RequestContext
from argosy.contracts.store import (
    CollectionStats,
    CollectionVersion,
    EnsureCollection,
    ForgetRequest,
    PublishManyRequest,
    PublishRequest,
    StoreOutcome,
    StoreSearchRequest,
    StoreSearchResponse,
    UpsertManyRequest,
    UpsertRequest,
    VersionRequest,
)
from argosy.ranking.weighing import ChunkTerms
from argosy.services.store.changes import Change
from argosy.services.store.engine import StoreEngine
from argosy.services.store.engine_thread import EngineThread
from argosy.services.store.lexicon import analyse
from argosy.services.store.meters import RebuildMeters
from argosy.services.store.upkeep import Upkeep
from argosy.serving.app import create_app, typed
from argosy.serving.engine_call import EngineCalls
from argosy.serving.grouping import Grouped
from argosy.serving.hold import Hold, Work
from argosy.serving.kit import Details, Kit

M = TypeVar("M")
R = TypeVar("R")
MAX_GROUP = 256
"""Most publications that share one `fsync`."""
DEFAULT_COLLECTION = "default"
"""Collection that always exists, so that a search in a new fleet returns no chunks instead of an error."""


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
        self._analysis = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-analysis")
        self._changes: Grouped[Change, None] = Grouped(self._change_together, most=MAX_GROUP)
        self._changing = asyncio.Lock()
        """Lock held while changes of visibility are made, and by work that must not run at the same time."""
        self._waiting = 0
        self._held_changes = Hold(self._folder, Work.CHANGES)
        self._held_removals = Hold(self._folder, Work.REMOVALS)
        self._upkeep: Upkeep | None = None
        self._meters = RebuildMeters(kit.metrics.registry)
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
                typed("/upsert", UpsertRequest, self._upsert),
                typed("/upsert/many", UpsertManyRequest, self._upsert_many),
                typed("/publish", PublishRequest, self._change),
                typed("/publish/many", PublishManyRequest, self._publish_many),
                typed("/forget", ForgetRequest, self._change),
                typed("/search", StoreSearchRequest, self._search),
                typed("/version", VersionRequest, self._version),
                typed("/stats", type(None), self._on_engine(_stats)),
            ],
        )

    async def start(self) -> None:
        """Open the engine, create the default collection, and start the upkeep."""
        async with self._held_changes.shared():
            self._engine = await self._thread.run(self._open)
            await self._thread.run(lambda: self._engine.ensure(EnsureCollection(DEFAULT_COLLECTION)))
        self._upkeep = Upkeep(
            self._engine, self._thread, self._changing, self._held_changes, self._held_removals, self._meters
        )
        self._upkeep.start(self._loops)
        await self._upstreams.start()

    def _open(self) -> StoreEngine:
        return StoreEngine(
            self._folder,
            calls=self._calls,
            flat_points=self._settings.flat_points,
            quantisation=self._settings.quantisation,
        )

    async def stop(self) -> None:
        """Stop the upkeep, flush the engine and close it."""
        await self._upstreams.stop()
        if self._upkeep is not None:
            await self._upkeep.stop()
            async with self._changing, self._held_changes.shared():
                await self._thread.run(self._engine.close)
        self._disk.shutdown()
        self._analysis.shutdown()
        self._thread.close()
        self._held_changes.close()
        self._held_removals.close()

    async def _search(self, request: StoreSearchRequest, context: RequestContext) -> StoreSearchResponse:
        return await self._run(lambda: self._engine.search(request), context, urgent=True)

    async def _upsert(self, request: UpsertRequest, context: RequestContext) -> None:
        terms = await self._analysed(request)
        await self._run(lambda: self._engine.upsert(request, terms), context)

    async def _upsert_many(self, request: UpsertManyRequest, context: RequestContext) -> list[StoreOutcome]:
        terms = [await self._analysed(upsert) for upsert in request.upserts]
        errors = await self._run(lambda: self._engine.upsert_many(request.upserts, terms), context)
        return [StoreOutcome.of(error) for error in errors]

    async def _analysed(self, request: UpsertRequest) -> dict[str, ChunkTerms]:
        """Analyse the words of chunks on a thread of its own, so that searches do not wait for it."""
        title = None if request.fields is None else request.fields.title or ""
        with self._queued():
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._analysis, analyse, request.chunks, title)

    async def _version(self, request: VersionRequest, context: RequestContext) -> CollectionVersion:
        """Return the version at once: it is only read, and the engine may be at work."""
        return CollectionVersion(self._engine.version(request.collection))

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
        async with self._changing, self._held_changes.shared():
            decided = await self._thread.run(lambda: self._engine.changes.decide(changes))
            try:
                await asyncio.get_running_loop().run_in_executor(self._disk, self._engine.changes.record, decided)
            finally:
                await self._thread.run(lambda: self._engine.changes.apply(decided))
        if self._upkeep is not None:
            self._upkeep.wake()
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
            if urgent:
                return await self._thread.run(when_due, urgent=True)
            async with self._held_changes.shared():
                return await self._thread.run(when_due)

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

    def _details(self) -> Details:
        return {"waiting": self._waiting} | (self._upkeep.details() if self._upkeep is not None else {})

    def _degraded(self) -> str:
        engine = getattr(self, "_engine", None)
        broken = engine.shards.broken if engine is not None else {}
        return f"collections that cannot be opened: {', '.join(sorted(broken))}" if broken else ""


def _stats(engine: StoreEngine, request: None) -> list[CollectionStats]:
    return engine.stats()


def _outcome(made: BaseException | None) -> StoreOutcome:
    if made is None or isinstance(made, ArgosyError):
        return StoreOutcome.of(made)
    raise made
