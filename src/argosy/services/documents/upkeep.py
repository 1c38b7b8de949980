"""What the service does beside requests and jobs: it keeps the gauges of the queue true, and clears away leftovers."""

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
    """`run` goes on until it is cancelled."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        blobs: BlobStore,
        meters: IngestionMeters,
        busy: Callable[[], int],
        loops: Loops,
        queue_watch_s: float = QUEUE_WATCH_S,
    ) -> None:
        """`busy` says how many documents this replica works on; `loops` is told of every round that fails."""
        self._database = database
        self._catalog = catalog
        self._blobs = blobs
        self._meters = meters
        self._busy = busy
        self._loops = loops
        self._queue_watch_s = queue_watch_s
        self.queued = 0
        """Documents waiting or in work, all replicas together, when last looked."""

    async def run(self) -> None:
        await asyncio.gather(self._keep_house(), self._watch_queue())

    async def _watch_queue(self) -> None:
        """Also while other replicas change it."""
        while True:
            try:
                documents, size = await asyncio.to_thread(self._queue)
                self._meters.saw_queue(documents, size, self._busy())
                self.queued = documents
            except ArgosyError:
                pass  # the database is away for a moment, and requests say so
            except Exception as error:  # scaling follows this figure: it must not stand still for ever
                self._loops.failed("watch of the queue", error)
            await asyncio.sleep(self._queue_watch_s)

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
