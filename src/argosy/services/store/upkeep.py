"""Upkeep of the store: old points are swept, shards are flushed, and rebuilt in a child process where they need it.

All of it gives way to searches: steps on the engine's thread are short, and waiting for the disk or the child takes
place on other threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argosy.contracts.errors import ArgosyError, StorageFull
from argosy.services.store.engine import StoreEngine
from argosy.services.store.engine_thread import EngineThread
from argosy.services.store.meters import RebuildMeters
from argosy.services.store.rebuild import Rebuild
from argosy.serving.hold import Hold
from argosy.serving.kit import Details
from argosy.serving.loops import Loops
from argosy.telemetry.logs import logger

R = TypeVar("R")
SWEEP_POINTS = 200
SWEEP_PAUSE_S = 0.05
IDLE_SWEEP_S = 5.0
REBUILD_CHECK_S = 1.0
SWEEPING = "sweep of old points"
REBUILDING = "rebuilding of indexes"
ANALYSING = "analysis of words"
ANALYSED_POINTS = 16
"""Points analysed in one step, which blocks searches for some milliseconds."""
ANALYSIS_SHARE = 3.0
"""Divisor of the engine's time: the analysis takes at most 1 / ANALYSIS_SHARE of it."""
CARRIED_POINTS = 32
"""Points carried over to a new shard in one step, which blocks searches for some milliseconds."""
FEW_CHANGES = 64
"""Number of changes that may be left when updates are stopped for the swap."""
FLUSH_POINTS = 2000
"""Points after which the tables are flushed, so that reopening the store replays few updates (about a second)."""

log = logger("store")


class Upkeep:
    """Background work of one store.

    `changing` is held while changes of visibility are made. `changes` and `removals` are held by a backup.
    """

    def __init__(
        self,
        engine: StoreEngine,
        thread: EngineThread,
        changing: asyncio.Lock,
        changes: Hold,
        removals: Hold,
        meters: RebuildMeters,
    ) -> None:
        self._engine = engine
        self._thread = thread
        self._changing = changing
        self._changes = changes
        self._removals = removals
        self._meters = meters
        self._disk = ThreadPoolExecutor(max_workers=2, thread_name_prefix="store-upkeep")
        self._stale = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, loops: Loops) -> None:
        """Start the loops."""
        self._loops = loops
        self._tasks = [
            loops.start(SWEEPING, self._sweep),
            loops.start(REBUILDING, self._rebuild),
            loops.start(ANALYSING, self._analyse),
        ]

    def wake(self) -> None:
        """Sweep now, after a change, rather than at the next interval."""
        self._stale.set()

    async def stop(self) -> None:
        """Stop the loops; a rebuild in progress is abandoned."""
        for task in self._tasks:
            task.cancel()
        if (rebuild := self._engine.rewriting.current) is not None:
            rebuild.kill()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._disk.shutdown()

    def details(self) -> Details:
        """Return the state of the rebuilding for the status of the store."""
        rewriting = self._engine.rewriting
        details: Details = {}
        if (rebuild := rewriting.current) is not None:
            details["rebuilding"] = rebuild.name
            details["rebuild_stage"] = rebuild.progress.stage
            details["rebuild_points"] = rebuild.progress.points
        if rewriting.reason:
            details["rebuild_postponed"] = rewriting.reason
        if analysed := self._engine.analysing.unfinished:
            details["analysing"] = ", ".join(sorted(analysed))
        graphs = [shard.built for shard in self._engine.shards.open.values() if shard.built.plan.graph]
        if graphs:
            details["indexed_collections"] = len(graphs)
            details["indexed_points"] = sum(built.points for built in graphs)
            details["lowest_recall_at_10"] = min(built.recall or 0.0 for built in graphs)
        return details

    async def _sweep(self) -> None:
        """Delete stale points, and flush shards, until cancelled.

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
                while await self._delete_stale():
                    await asyncio.sleep(SWEEP_PAUSE_S)
                    await self.flush(FLUSH_POINTS)
                await self.flush(1 if idle else FLUSH_POINTS)
            except StorageFull as error:
                log.warning("sweep postponed", reason=error.message)
            except Exception as error:
                self._loops.failed(SWEEPING, error)
            await asyncio.sleep(SWEEP_PAUSE_S)

    async def _analyse(self) -> None:
        """Analyse the points of older releases and count lost vocabularies, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                began_s = loop.time()
                async with self._changing, self._changes.shared():
                    more = await self._thread.run(lambda: self._engine.analysing.step(ANALYSED_POINTS))
                pause_s = (loop.time() - began_s) * (ANALYSIS_SHARE - 1.0) if more else REBUILD_CHECK_S
            except StorageFull as error:
                log.warning("analysis of words postponed", reason=error.message)
                pause_s = IDLE_SWEEP_S
            except Exception as error:
                self._loops.failed(ANALYSING, error)
                pause_s = IDLE_SWEEP_S
            await asyncio.sleep(pause_s)

    async def _delete_stale(self) -> int:
        async with self._changing, self._changes.shared():
            with self._removals.attempted() as allowed:
                if not allowed:
                    return 0
                swept = await self._thread.run(lambda: self._engine.sweep.delete_stale(SWEEP_POINTS))
                if swept.cleared:
                    await self._on_disk(lambda: self._engine.sweep.record(swept))
                    await self._thread.run(lambda: self._engine.sweep.apply(swept))
        return swept.points

    async def flush(self, at_least: int) -> None:
        """Flush shards with at least `at_least` points in their log.

        Most data is written back before the flush, while searches continue.
        """
        for shard in await self._thread.run(lambda: self._engine.shards.unflushed(at_least)):
            await self._on_disk(shard.write_back)
            # The collection may have been dropped and its shard closed in the meantime.
            async with self._changing, self._changes.shared():
                if shard in await self._thread.run(lambda: self._engine.shards.unflushed(1)):
                    await self._thread.run(shard.flush)

    async def _rebuild(self) -> None:
        """Rebuild shards that are due, one after the other, until cancelled."""
        while True:
            await asyncio.sleep(REBUILD_CHECK_S)
            try:
                await self._remove_orphans()
                if (name := await self._thread.run(self._engine.rewriting.due)) is not None:
                    await self._rebuild_one(name)
            except ArgosyError as error:
                log.warning("rebuild of index postponed", reason=error.message)
            except Exception as error:
                self._loops.failed(REBUILDING, error)

    async def _rebuild_one(self, name: str) -> None:
        async with self._changing:  # the room needed depends on the shard, which must not be dropped meanwhile
            rebuild = await self._thread.run(lambda: self._engine.rewriting.begin(name))
        if rebuild is None:
            return
        log.info("rebuild of index started", collection=name, points=rebuild.points, graph=rebuild.plan.graph)
        self._meters.began()
        try:
            async with self._changing, self._changes.shared(), self._thread.only_urgent():
                await self._on_disk(rebuild.copy)
            await self._on_disk(rebuild.build)
            await self._thread.run(rebuild.open)
            await self._swap(rebuild)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._meters.failed()
            known = error if isinstance(error, ArgosyError) else None
            await self._thread.run(lambda: self._engine.rewriting.fail(rebuild, known))
            raise
        built = self._engine.shards.open[name].built
        self._meters.finished(built)
        log.info(
            "rebuild of index finished",
            collection=name,
            points=built.points,
            graph=built.plan.graph,
            quantisation=built.plan.quantisation,
            recall_at_10=built.recall,
            build_s=round(built.build_s, 1),
        )

    async def _swap(self, rebuild: Rebuild) -> None:
        """Carry changes over while searches and updates continue; then stop updates for a moment and swap."""
        while await self._thread.run(lambda: rebuild.carry_over(CARRIED_POINTS)) > FEW_CHANGES:
            pass
        async with self._changing, self._changes.shared(), self._thread.only_urgent():
            while await self._thread.run(lambda: rebuild.carry_over(CARRIED_POINTS), urgent=True):
                pass
            await self._on_disk(rebuild.sync)
            await self._thread.run(lambda: self._engine.rewriting.swap(rebuild), urgent=True)

    async def _remove_orphans(self) -> None:
        with self._removals.attempted() as allowed:
            if allowed:
                orphans = await self._thread.run(self._engine.shards.orphans)
                for path in orphans:
                    await self._on_disk(lambda path=path: shutil.rmtree(path, ignore_errors=True))  # type: ignore[misc]

    async def _on_disk(self, work: Callable[[], R]) -> R:
        """Run work that waits for the disk or for a child process."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)
