"""Deferred deletion: drops deleted collections from the store and deletes stored contents without references.

Both kinds of work are rows written in the transaction that made them necessary, so another process continues if this
one dies. Every step may be repeated. Several replicas may clear at the same time.
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
"""Timeout of a call to the store. While the store is down, contents are deleted all the same."""
_STEP = 200
"""Number of contents deleted in one transaction: no replica accepts uploads meanwhile."""

log = logger("documents")


class CollectionStore(Protocol):
    """The store as `Clearing` uses it."""

    async def drop(self, request: EnsureCollection, context: RequestContext) -> None:
        """Remove one generation of a collection.

        Raises: CollectionNotFound when the store does not have it; ArgosyError when the call fails.
        """
        ...


class Clearing:
    """Background deletion. `run` continues until it is cancelled; `once` does the work that is due now."""

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
        """Clear now, after a deletion, rather than at the next interval."""
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
        """Do all work that is due. Contents are deleted first because that needs no other service.

        Raises: ArgosyError when the database or the store fails.
        """
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
                pass  # the store no longer has it
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
        """Delete up to _STEP discarded contents that no document needs. Blocks.

        Returns: 0 when none are left, or while a backup is running.
        """
        with self._database.read() as connection:
            if connection.execute(select(discards.c.id).limit(1)).first() is None:
                return 0
        with self._blobs.deleting() as allowed, self._database.write(alone=True) as connection:
            if not allowed:
                return 0
            rows = connection.execute(select(discards.c.id, discards.c.hash).order_by(discards.c.id).limit(_STEP)).all()
            for key in unreferenced(connection, [row.hash for row in rows]):
                self._blobs.delete(key)
            connection.execute(delete(discards).where(discards.c.id.in_([row.id for row in rows])))
            return len(rows)
