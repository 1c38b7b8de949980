"""Clearing away: dropping deleted collections from the store, and deleting stored contents that nobody needs any more.

Both are rows that were written in the transaction that made them necessary, so a process that dies leaves the rest to
the next one. Every step may be repeated. Several replicas may clear at once.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Protocol

from sqlalchemy import delete, select

from argosy.contracts.errors import ArgosyError, CollectionNotFound
from argosy.contracts.request import Clock, Deadline, Priority, RequestContext
from argosy.contracts.store import EnsureCollection
from argosy.services.documents.records.blobs import BlobStore
from argosy.services.documents.records.database import Database
from argosy.services.documents.records.queueing import unreferenced
from argosy.services.documents.records.schema import discards, removals
from argosy.telemetry.logs import logger

CLEAR_EVERY_S = 2.0
SCRUB_EVERY_S = 20.0
CALL_TIMEOUT_S = 10.0
"""While the store is away: contents are deleted all the same."""
_STEP = 200
"""Contents deleted in one transaction: nobody accepts uploads meanwhile."""

log = logger("documents")


class CollectionStore(Protocol):
    async def drop(self, request: EnsureCollection, context: RequestContext) -> None:
        """Remove one generation of a collection. Raises: ArgosyError; CollectionNotFound, it is not there."""
        ...


class Clearing:
    """`run` goes on until it is cancelled; `once` does what is due now."""

    def __init__(
        self, database: Database, blobs: BlobStore, store: CollectionStore, clock: Clock = time.monotonic
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._store = store
        self._clock = clock
        self._due = asyncio.Event()
        self._scrubbed_s: float | None = None

    def wake(self) -> None:
        """Something was deleted: clear now rather than at the next look."""
        self._due.set()

    async def run(self) -> None:
        while True:
            self._due.clear()
            try:
                await self.once()
            except ArgosyError as error:
                log.warning("clearing failed", code=error.code)
            except Exception as error:
                log.error("clearing failed", exc_info=error)
            try:
                async with asyncio.timeout(CLEAR_EVERY_S):
                    await self._due.wait()
            except TimeoutError:
                continue

    async def once(self) -> None:
        """Delete contents first: they need no other service. Raises: ArgosyError."""
        while await asyncio.to_thread(self.delete_some):
            pass
        try:
            await self._drop_collections()
        finally:
            now_s = self._clock()
            if self._scrubbed_s is None or now_s - self._scrubbed_s >= SCRUB_EVERY_S:
                self._scrubbed_s = now_s
                await asyncio.to_thread(self._database.scrub)

    async def _drop_collections(self) -> None:
        for name, generation in await asyncio.to_thread(self._removals):
            deadline = Deadline.after(CALL_TIMEOUT_S, self._clock)
            try:
                context = RequestContext(f"drop-{uuid.uuid4().hex[:12]}", deadline, Priority.BULK)
                await self._store.drop(EnsureCollection(name, generation), context)
            except CollectionNotFound:
                pass  # gone is done
            await asyncio.to_thread(self._removed, name, generation)

    def _removals(self) -> list[tuple[str, int]]:
        with self._database.read() as connection:
            rows = connection.execute(select(removals.c.name, removals.c.generation).order_by(removals.c.created_at))
            return [(row.name, row.generation) for row in rows]

    def _removed(self, name: str, generation: int) -> None:
        which = (removals.c.name == name, removals.c.generation == generation)
        with self._database.write() as connection:
            connection.execute(delete(removals).where(*which))

    def delete_some(self) -> int:
        """Delete some discarded contents that no document needs. Blocking. Returns: 0 when nothing is left to do."""
        with self._database.read() as connection:
            if connection.execute(select(discards.c.id).limit(1)).first() is None:
                return 0
        with self._database.write(alone=True) as connection:
            rows = connection.execute(select(discards.c.id, discards.c.hash).order_by(discards.c.id).limit(_STEP)).all()
            for key in unreferenced(connection, [row.hash for row in rows]):
                self._blobs.delete(key)
            connection.execute(delete(discards).where(discards.c.id.in_([row.id for row in rows])))
            return len(rows)
