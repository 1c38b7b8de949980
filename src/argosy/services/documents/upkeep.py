"""Periodic work besides requests and jobs: updates the gauges of the queue and removes leftovers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from argosy.contracts.errors import ArgosyError
from argosy.services.documents.catalog.catalog import Catalog
from argosy.services.documents.catalog.housekeeping import sweep
from argosy.services.documents.jobs.meters import IngestionMeters
from argosy.services.documents.records.blobs import BlobStore
from argosy.services.documents.records.database import Database
from argosy.services.documents.records.queueing import queue_size
from argosy.serving.loops import Loops

QUEUE_WATCH_S = 2.0
HOUSEKEEPING_S = 600.0


class Upkeep:
    """Periodic work of one replica. `run` continues until it is cancelled."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        blobs: BlobStore,
        meters: IngestionMeters,
        busy: Callable[[], int],
        loops: Loops,
    ) -> None:
        """Create the upkeep. `busy` returns how many documents this replica works on; `loops` counts failed rounds."""
        self._database = database
        self._catalog = catalog
        self._blobs = blobs
        self._meters = meters
        self._busy = busy
        self._loops = loops
        self.queued = 0
        """Documents queued or running on all replicas together, at the last check."""

    async def run(self) -> None:
        await asyncio.gather(self._keep_house(), self._watch_queue())

    async def _watch_queue(self) -> None:
        """Update the gauges of the queue, which other replicas change too."""
        while True:
            try:
                documents, size = await asyncio.to_thread(self._queue)
                self._meters.saw_queue(documents, size, self._busy())
                self.queued = documents
            except ArgosyError:
                pass  # the database is unavailable for a moment; requests report it
            except Exception as error:  # autoscaling uses this value: it must not stay stale
                self._loops.failed("watch of the queue", error)
            await asyncio.sleep(QUEUE_WATCH_S)

    def _queue(self) -> tuple[int, int]:
        with self._database.read() as connection:
            return queue_size(connection)

    async def _keep_house(self) -> None:
        while True:
            try:
                await asyncio.to_thread(sweep, self._catalog, self._blobs)
            except Exception as error:
                self._loops.failed("housekeeping", error)
            await asyncio.sleep(HOUSEKEEPING_S)
