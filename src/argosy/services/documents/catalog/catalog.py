"""The catalog of collections, documents with their versions, and batches: the single source of truth about them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, tuple_, update

from argosy.contracts.documents import (
    Accepted,
    BatchView,
    CollectionView,
    DocumentPage,
    DocumentStatus,
    DocumentView,
    RefusedUpload,
)
from argosy.contracts.errors import CollectionNotFound, Conflict, DocumentNotFound, InvalidRequest, NotFound
from argosy.contracts.store import EnsureCollection, ForgetRequest
from argosy.services.documents.catalog.intake import Intake, QueueLimits, Upload
from argosy.services.documents.catalog.refusals import record
from argosy.services.documents.catalog.views import batch_view, document_view
from argosy.services.documents.records.blobs import BlobStore
from argosy.services.documents.records.database import Database
from argosy.services.documents.records.erasure import erase
from argosy.services.documents.records.queueing import enqueue, supersede, unreferenced
from argosy.services.documents.records.schema import (
    ACTIVE,
    DELETED,
    JobKind,
    batches,
    catalog,
    collections,
    documents,
    entries,
    jobs,
    removals,
)

DEFAULT_COLLECTION = "default"
MAX_PAGE = 1000
_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_GROUP = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Catalog:
    """Catalog of documents. Its methods block and may be called from several threads and processes."""

    def __init__(self, database: Database, limits: QueueLimits | None = None, settings: str = "") -> None:
        """Create the catalog. `settings` identifies how documents are processed (chunk size, model); see `Intake`."""
        self._database = database
        self._intake = Intake(limits or QueueLimits(), settings)
        with database.write(alone=True) as connection:
            _ensure(connection, DEFAULT_COLLECTION, database.now(connection))

    def check_room(self, collection: str, uploads: Sequence[Upload]) -> None:
        """Check that `accept` would find room in the queue, before any content is stored.

        Raises: Overloaded when the queue has no room now; TooLarge when the request can never fit; InvalidRequest when
        two different documents of the request share a source.
        """
        with self._database.read() as connection:
            self._intake.check_room(connection, collection, uploads, self._database.now(connection))

    def accept(self, collection: str, uploads: Sequence[Upload], group: str | None = None) -> Accepted:
        """Create jobs for the new and changed documents, durably, and the collection if it is missing.

        All uploads with the same `group` count as one sender when senders take turns.

        Raises: InvalidRequest when a name, the group or a source is not usable; Overloaded when the queue has no room;
        TooLarge when the request can never fit; StorageFull when the disk is full. Nothing was accepted then.
        """
        check_name(collection)
        if not uploads:
            raise InvalidRequest("The request holds no document. Send at least one.", param="documents")
        if group is not None and not _GROUP.fullmatch(group):
            raise InvalidRequest("`group` must have 1 to 64 letters, digits, '_' or '-'.", param="group")
        with self._database.write(alone=True) as connection:
            now = self._database.now(connection)
            accepted = self._intake.accept(connection, collection, uploads, now, group)
            _ensure(connection, collection, now)
            return accepted

    def refuse(self, refused: RefusedUpload) -> Accepted:
        """Record documents that were not accepted as failed documents, durably.

        Raises: InvalidRequest when the collection's name is not usable; StorageFull when the disk is full.
        """
        check_name(refused.collection)
        with self._database.write(alone=True) as connection:
            now = self._database.now(connection)
            kept = record(connection, refused, now)
            _ensure(connection, refused.collection, now)
            return kept

    def document(self, document_id: str) -> DocumentView:
        """Return one document. Raises: DocumentNotFound when there is none with this id."""
        with self._database.read() as connection:
            return document_view(existing(connection, document_id))

    def text_hash(self, document_id: str) -> str | None:
        """Return the blob key of the indexed version's parsed text, or None before there is one.

        Raises: DocumentNotFound when there is no document with this id.
        """
        with self._database.read() as connection:
            found: str | None = existing(connection, document_id).text_hash
            return found

    def documents(
        self, limit: int = 100, after: str | None = None, status: str | None = None, collection: str | None = None
    ) -> DocumentPage:
        """Return a page of documents, newest first. `after` is the `next` of an earlier page.

        Raises: InvalidRequest when an argument is not valid; CollectionNotFound when there is no such collection.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"`limit` must be from 1 to {MAX_PAGE}.", param="limit")
        if status is not None and status not in set(DocumentStatus):
            known = ", ".join(DocumentStatus)
            raise InvalidRequest(f"There is no status '{status[:40]}'. Use one of: {known}.", param="status")
        query = select(documents).where(documents.c.status != DELETED)
        if status is not None:
            query = query.where(documents.c.status == status)
        with self._database.read() as connection:
            if collection is not None:
                _require(connection, collection)
                query = query.where(documents.c.collection == collection)
            if after is not None:
                query = query.where(_older_than(connection, after))
            query = query.order_by(documents.c.created_at.desc(), documents.c.id.desc())
            rows = connection.execute(query.limit(limit + 1)).all()
        views = [document_view(row) for row in rows[:limit]]
        return DocumentPage(views, views[-1].id if len(rows) > limit else None)

    def batch(self, batch_id: str) -> BatchView:
        """Return one batch. Raises: NotFound when there is none with this id."""
        with self._database.read() as connection:
            view = batch_view(connection, batch_id, self._database.now(connection))
        if view is None:
            raise NotFound(f"There is no batch '{batch_id[:64]}'.")
        return view

    def delete(self, document_id: str) -> ForgetRequest:
        """Delete a document here at once. A durable job deletes it from the store, even if the store is down now.

        Returns: the request that the job will send to the store. Raises: DocumentNotFound when there is no such
        document.
        """
        with self._database.write(alone=True) as connection:
            now = self._database.now(connection)
            row = existing(connection, document_id)
            supersede(connection, documents.c.id == row.id, now)
            erase(connection, documents.c.id == row.id, now)
            enqueue(connection, JobKind.FORGET, row, now)
            return ForgetRequest(row.collection, row.id, row.version)

    def collections(self) -> list[CollectionView]:
        """Return all collections, sorted by name, with their numbers of documents."""
        live = (documents.c.collection == collections.c.name) & (documents.c.status != DELETED)
        query = (
            select(collections.c.name, func.count(documents.c.id), collections.c.created_at)
            .outerjoin(documents, live)
            .group_by(collections.c.name, collections.c.created_at)
            .order_by(collections.c.name)
        )
        with self._database.read() as connection:
            return [CollectionView(name, count, created) for name, count, created in connection.execute(query)]

    def create_collection(self, name: str) -> CollectionView:
        """Create a collection.

        Raises: InvalidRequest when the name is not usable; Conflict when it is taken.
        """
        check_name(name)
        with self._database.write(alone=True) as connection:
            now = self._database.now(connection)
            if not _ensure(connection, name, now):
                raise Conflict(f"There is a collection '{name}' already.", param="name")
        return CollectionView(name, 0, now)

    def generation(self, name: str) -> EnsureCollection | None:
        """Return the request that makes the store create this collection, or None when there is no such collection."""
        with self._database.read() as connection:
            row = connection.execute(_collection(name)).first()
            return None if row is None else EnsureCollection(name, row.generation or 0)

    def delete_collection(self, name: str) -> tuple[int, EnsureCollection]:
        """Delete a collection with all its documents here at once. `Clearing` removes it from the store, durably.

        Returns: the number of documents, and the collection that the store must drop.
        Raises: CollectionNotFound when there is no such collection; Conflict for the default collection.
        """
        with self._database.write(alone=True) as connection:
            _require(connection, name)
            if name == DEFAULT_COLLECTION:
                raise Conflict(f"The collection '{name}' cannot be deleted; delete its documents instead.")
            now = self._database.now(connection)
            live = (documents.c.collection == name) & (documents.c.status != DELETED)
            supersede(connection, live, now)
            count = erase(connection, live, now)
            gone = connection.execute(
                delete(collections).where(collections.c.name == name).returning(collections.c.generation)
            ).scalar_one()
            dropped = EnsureCollection(name, gone or 0)
            connection.execute(insert(removals).values(name=name, generation=dropped.generation, created_at=now))
            return count, dropped

    def collection_exists(self, name: str) -> bool:
        """Return whether there is a collection with this name."""
        with self._database.read() as connection:
            return connection.execute(_collection(name)).first() is not None

    def unreferenced(self, hashes: Sequence[str]) -> list[str]:
        """Return the stored contents among `hashes` that no document needs any more."""
        with self._database.read() as connection:
            return unreferenced(connection, hashes)

    def delete_unneeded(self, blobs: BlobStore, hashes: Sequence[str], min_age_s: float) -> int:
        """Delete the stored contents that no document needs and that are at least `min_age_s` old.

        Returns: how many; 0 while a backup is running.

        The check and the deletion are one transaction that excludes `accept`: an upload that is accepted later finds
        its content missing and stores it again.
        """
        with blobs.deleting() as allowed, self._database.write(alone=True) as connection:
            if not allowed:
                return 0
            return sum(blobs.delete(key, min_age_s) for key in unreferenced(connection, hashes))

    def prune(self, older_than_s: float) -> int:
        """Delete finished batches and jobs older than `older_than_s`. Returns: the number of batches deleted."""
        unfinished = (
            select(entries.c.batch_id)
            .join(jobs, jobs.c.id == entries.c.job_id)
            .where(jobs.c.state.in_(ACTIVE))
            .union(select(jobs.c.batch_id).where(jobs.c.state.in_(ACTIVE), jobs.c.batch_id.is_not(None)))
        )
        with self._database.write(alone=True) as connection:
            before = self._database.now(connection) - older_than_s
            old = select(batches.c.id).where(batches.c.created_at < before, batches.c.id.not_in(unfinished))
            gone = list(connection.execute(old).scalars())
            for batch_id in gone:
                connection.execute(delete(entries).where(entries.c.batch_id == batch_id))
                connection.execute(delete(batches).where(batches.c.id == batch_id))
            in_use = select(entries.c.job_id).where(entries.c.job_id.is_not(None))
            connection.execute(delete(jobs).where(jobs.c.finished_at < before, jobs.c.id.not_in(in_use)))
            return len(gone)


def check_name(name: str) -> None:
    """Check a collection's name. Raises: InvalidRequest when it is not usable."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            "A collection's name must have 1 to 64 characters from a–z, 0–9, '_' and '-'.", param="collection"
        )


def existing(connection: Connection, document_id: str) -> Any:
    """Return the row of a document that is not deleted.

    Raises: DocumentNotFound when there is none or it was deleted.
    """
    row = connection.execute(
        select(documents).where(documents.c.id == document_id, documents.c.status != DELETED)
    ).first()
    if row is None:
        raise DocumentNotFound(f"There is no document '{document_id[:64]}'.")
    return row


def _collection(name: str) -> Select[Any]:
    return select(collections.c.name, collections.c.generation).where(collections.c.name == name)


def _require(connection: Connection, name: str) -> None:
    if connection.execute(_collection(name)).first() is None:
        raise CollectionNotFound(f"There is no collection '{name[:64]}'.", param="collection")


def _ensure(connection: Connection, name: str, now: float) -> bool:
    """Create the collection if it is missing. Returns: whether it was created.

    Its generation is higher than any before, even after a catalog was lost, because the store may still hold data of
    earlier generations.
    """
    if connection.execute(_collection(name)).first() is not None:
        return False
    generation = 0
    if name != DEFAULT_COLLECTION:
        last = connection.execute(select(catalog.c.last_generation)).scalar() or 0
        generation = max(last + 1, int(now))
        connection.execute(update(catalog).values(last_generation=generation))
    connection.execute(insert(collections).values(name=name, created_at=now, generation=generation))
    return True


def _older_than(connection: Connection, after: str) -> Any:
    row = connection.execute(select(documents.c.created_at, documents.c.id).where(documents.c.id == after)).first()
    if row is None:
        raise InvalidRequest("`after` is not the `next` of an earlier page. Start from the first page.", param="after")
    return tuple_(documents.c.created_at, documents.c.id) < tuple_(row.created_at, row.id)
