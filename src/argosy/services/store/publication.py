"""Which version of which document is visible: `published.db`, one SQLite file, with a copy in memory for queries.

Each change is one SQL statement, so it happened or it did not; the copy follows the commit. A row outlives its
document as a tombstone: `version` is the highest version ever decided on, and nothing at or below it can be
published again.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from argosy.contracts.errors import CollectionNotFound, Conflict, Internal, StorageFull, Unavailable
from argosy.serving.migrations import add_missing_columns, migrate

LOCK_WAIT_S = 2.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS collections (
    name TEXT PRIMARY KEY, folder TEXT NOT NULL UNIQUE, model TEXT, dimensions INTEGER,
    generation INTEGER NOT NULL DEFAULT 0, rewrite INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS dropped (name TEXT PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS documents (
    collection TEXT NOT NULL REFERENCES collections (name) ON DELETE CASCADE,
    document_id TEXT NOT NULL, version INTEGER NOT NULL, visible INTEGER NOT NULL,
    chunks INTEGER NOT NULL, stale INTEGER NOT NULL, fields TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (collection, document_id)
) STRICT, WITHOUT ROWID;
"""
ADDED = {
    "collections": {"generation": "INTEGER NOT NULL DEFAULT 0", "rewrite": "INTEGER NOT NULL DEFAULT 0"},
    "documents": {"fields": "TEXT NOT NULL DEFAULT ''"},
}
"""Columns that files of older releases lack."""


def _first(db: sqlite3.Connection) -> None:
    """Create the tables, or bring those from before versions were numbered to the same columns."""
    for statement in SCHEMA.split(";"):
        db.execute(statement)
    for table, columns in ADDED.items():
        add_missing_columns(db, table, columns)


STEPS = {1: _first}
DECIDE = """
INSERT INTO documents (collection, document_id, version, visible, chunks, stale, fields) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (collection, document_id) DO UPDATE
SET version = excluded.version, visible = excluded.visible, chunks = excluded.chunks,
    stale = excluded.stale OR documents.stale, fields = excluded.fields
"""


@dataclass(frozen=True, slots=True)
class Collection:
    """`folder` is the shard's folder name, never reused; model and dimensions are None until the first upsert."""

    name: str
    folder: str
    model: str | None = None
    dimensions: int | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The last word on a document: `version` is visible with `chunks` points, or (not `visible`) forgotten.

    `stale`: points of this version's predecessors, or of a forgotten document, may still be in the shard.
    """

    version: int
    visible: bool
    chunks: int
    stale: bool
    fields: str = ""
    """The document's `DocumentFields` as JSON; empty when its chunks carry them themselves."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A decision that is made but neither recorded nor visible yet."""

    collection: str
    document_id: str
    decision: Decision


@dataclass(slots=True)
class Shown:
    """How many documents and points of a collection are visible."""

    documents: int = 0
    points: int = 0

    def replace(self, old: Decision | None, new: Decision) -> None:
        for decision, sign in ((old, -1), (new, 1)):
            if decision is not None and decision.visible:
                self.documents += sign
                self.points += sign * decision.chunks


@contextmanager
def _wrapped() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Unavailable("Another store process has this data folder open; stop it first.") from error
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise StorageFull("The disk is full: the store could not record the change.") from error
        raise Internal("The store's record of published documents cannot be used.") from error
    except sqlite3.DatabaseError as error:
        raise Internal("The store's record of published documents cannot be used.") from error


class Publication:
    """Owns `published.db`. Blocking; a second process that opens the file gets Unavailable.

    Everything belongs to one thread, except `record`, `record_swept` and `scrub`, which wait for the disk and may run
    on another one meanwhile. A decision is staged (no older version is admitted from then on), recorded (it survives a
    loss of power), and applied (it is visible), or abandoned when it could not be recorded.
    """

    def __init__(self, path: Path, lock_wait_s: float = LOCK_WAIT_S) -> None:
        """Opens or creates `path` (0600). Raises: Unavailable, another process has it open; Internal, it is damaged
        or a newer release wrote it."""
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._writing = threading.Lock()
        # Statements of two threads never overlap: the lock is held from the beginning of a transaction to its end.
        self._db = sqlite3.connect(path, timeout=lock_wait_s, isolation_level=None, check_same_thread=False)
        try:
            with _wrapped():
                self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute("PRAGMA secure_delete = ON")
        migrate(self._db, STEPS, "published.db")
        rows = self._db.execute("SELECT name, folder, model, dimensions, generation FROM collections ORDER BY name")
        self._collections = {row[0]: Collection(*row) for row in rows}
        self._dropped: dict[str, int] = dict(self._db.execute("SELECT name, generation FROM dropped"))
        self.rewritable = {row[0] for row in self._db.execute("SELECT name FROM collections WHERE rewrite")}
        """Collections whose shard files still hold the bytes of deleted points."""
        self._decisions: dict[str, dict[str, Decision]] = {name: {} for name in self._collections}
        self._stale: dict[tuple[str, str], None] = {}
        self._staged: dict[tuple[str, str], Staged] = {}
        self._shown: dict[str, Shown] = {name: Shown() for name in self._collections}
        for collection, document_id, version, visible, chunks, stale, fields in self._db.execute(
            "SELECT collection, document_id, version, visible, chunks, stale, fields FROM documents"
        ):
            decision = Decision(version, bool(visible), chunks, bool(stale), fields)
            self._decisions[collection][document_id] = decision
            self._shown[collection].replace(None, decision)
            if stale:
                self._stale[collection, document_id] = None

    @property
    def collections(self) -> Mapping[str, Collection]:
        return MappingProxyType(self._collections)

    def decisions(self, collection: str) -> Mapping[str, Decision]:
        """The last decision on each document of a known collection, by document id; a live view."""
        return MappingProxyType(self._decisions[collection])

    def shown(self, collection: str) -> Shown:
        """How much of a known collection is visible; counted when the file is opened, and kept from then on."""
        return self._shown[collection]

    def ensure(self, name: str, generation: int = 0) -> Collection:
        """Return the collection; create it without a model when it is new.

        Raises: CollectionNotFound, this generation was dropped or a newer one is here.
        """
        known = self._collections.get(name)
        if known is not None and known.generation == generation:
            return known
        if known is not None or self._dropped.get(name, -1) >= generation:
            raise CollectionNotFound(f"This collection {name!r} was deleted. Create it again.", param="collection")
        made = Collection(name, uuid4().hex, generation=generation)
        with self._writing, _wrapped():
            self._db.execute(
                "INSERT INTO collections (name, folder, generation) VALUES (?, ?, ?)", (name, made.folder, generation)
            )
        self._collections[name] = made
        self._decisions[name] = {}
        self._shown[name] = Shown()
        return made

    def pin(self, name: str, model: str, dimensions: int) -> Collection:
        """Fixes the model of a known collection that has none yet."""
        with self._writing, _wrapped():
            self._db.execute(
                "UPDATE collections SET model = ?, dimensions = ? WHERE name = ?", (model, dimensions, name)
            )
        self._collections[name] = replace(self._collections[name], model=model, dimensions=dimensions)
        return self._collections[name]

    def move(self, name: str, folder: str, *, rewrite: bool) -> Collection:
        """Replace the folder of the collection's shard in one step. `rewrite`: it holds deleted points already."""
        with self._writing, _wrapped():
            self._db.execute("UPDATE collections SET folder = ?, rewrite = ? WHERE name = ?", (folder, rewrite, name))
        self._collections[name] = replace(self._collections[name], folder=folder)
        return self._collections[name]

    def soil(self, name: str) -> None:
        """Record that points were deleted whose bytes the shard's files still hold."""
        if name not in self.rewritable:
            with self._writing, _wrapped():
                self._db.execute("UPDATE collections SET rewrite = 1 WHERE name = ?", (name,))
            self.rewritable.add(name)

    def drop(self, name: str, generation: int = 0) -> None:
        """Forget the collection, its documents and their tombstones; unknown is fine.

        A numbered generation leaves a tombstone, and can never be created again. A newer one stays.
        """
        known = self._collections.get(name)
        gone = known is not None and known.generation <= generation
        with self._writing, _wrapped(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if gone:
                self._db.execute("DELETE FROM collections WHERE name = ?", (name,))
            if generation > self._dropped.get(name, 0):
                self._db.execute("INSERT OR REPLACE INTO dropped (name, generation) VALUES (?, ?)", (name, generation))
                self._dropped[name] = generation
        if gone:
            self._collections.pop(name, None)
            self._decisions.pop(name, None)
            self._shown.pop(name, None)
            self._staged = {key: staged for key, staged in self._staged.items() if key[0] != name}
            self._stale = {key: None for key in self._stale if key[0] != name}
            self.rewritable.discard(name)

    def scrub(self) -> None:
        """Remove what was overwritten or deleted from the write-ahead log too."""
        with self._writing, _wrapped():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def admit(self, collection: str, document_id: str, version: int) -> None:
        """Raises: Conflict, `version` can never become visible (any more), so its chunks are not wanted."""
        last = self._last(collection, document_id)
        if last is None or version > last.version or (version == last.version and last.visible):
            return
        if last.visible:
            raise Conflict(
                f"Document {document_id} is published as version {last.version}; version {version} is not newer."
            )
        raise Conflict(
            f"Document {document_id} was forgotten at version {last.version}; add it again under a newer version."
        )

    def publish(
        self, collection: str, document_id: str, version: int, *, chunks: int, stale: bool, fields: str = ""
    ) -> None:
        """Makes `version` the visible one. Publishing the published version again with the same chunks and fields
        changes nothing.

        Raises: Conflict, a newer version is published or this one was forgotten.
        """
        self._now(self.stage_publish(collection, document_id, version, chunks=chunks, stale=stale, fields=fields))

    def forget(self, collection: str, document_id: str, version: int, *, stale: bool) -> None:
        """Makes the document invisible and `version` and older unpublishable; a newer decision stays as it is."""
        self._now(self.stage_forget(collection, document_id, version, stale=stale))

    def stage_publish(
        self, collection: str, document_id: str, version: int, *, chunks: int, stale: bool, fields: str = ""
    ) -> Staged | None:
        """As `publish`, up to the recording. Returns: None when nothing is to be recorded."""
        self.admit(collection, document_id, version)
        last = self._last(collection, document_id)
        if last is not None and (last.version, last.chunks, last.fields) == (version, chunks, fields):
            return None
        return self._stage(collection, document_id, Decision(version, True, chunks, stale, fields))

    def stage_forget(self, collection: str, document_id: str, version: int, *, stale: bool) -> Staged | None:
        """As `forget`, up to the recording. Returns: None when nothing is to be recorded."""
        last = self._last(collection, document_id)
        if last is None or version > last.version or (version == last.version and last.visible):
            return self._stage(collection, document_id, Decision(version, False, 0, stale))
        return None

    def record(self, staged: Sequence[Staged]) -> None:
        """Make the decisions durable, all in one commit or none.

        Raises: CollectionNotFound, one of the collections was dropped meanwhile; StorageFull; Internal.
        """
        rows = [
            (
                one.collection,
                one.document_id,
                one.decision.version,
                one.decision.visible,
                one.decision.chunks,
                one.decision.stale,
                one.decision.fields,
            )
            for one in staged
        ]
        with self._writing, _wrapped(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(DECIDE, rows)
            except sqlite3.IntegrityError as error:
                raise CollectionNotFound("The collection was deleted meanwhile.", param="collection") from error

    def apply(self, staged: Sequence[Staged]) -> None:
        """Make recorded decisions visible, in the order in which they were staged."""
        for one in staged:
            known = self._decisions.get(one.collection)
            if known is not None:
                self._shown[one.collection].replace(known.get(one.document_id), one.decision)
                known[one.document_id] = one.decision
                if one.decision.stale:
                    self._stale[one.collection, one.document_id] = None
        self.abandon(staged)

    def abandon(self, staged: Sequence[Staged]) -> None:
        """Forget decisions that could not be recorded."""
        for one in staged:
            if self._staged.get((one.collection, one.document_id)) is one:
                del self._staged[one.collection, one.document_id]

    def stale(self, limit: int, without: Container[str] = ()) -> list[tuple[str, str, Decision]]:
        """Up to `limit` documents with points to delete: collection, document id, decision.

        Collections in `without` are passed over.
        """
        found = ((c, d, self._decisions[c][d]) for c, d in self._stale if c not in without)
        return list(islice(found, limit))

    def swept(self, collection: str, document_ids: Sequence[str]) -> None:
        """Records that no stale points of these documents are left in the index, in one commit."""
        self.record_swept(collection, document_ids)
        self.apply_swept(collection, document_ids)

    def record_swept(self, collection: str, document_ids: Sequence[str]) -> None:
        with self._writing, _wrapped(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "UPDATE documents SET stale = 0 WHERE collection = ? AND document_id = ?",
                [(collection, document_id) for document_id in document_ids],
            )
            self._db.execute("UPDATE collections SET rewrite = 1 WHERE name = ?", (collection,))

    def apply_swept(self, collection: str, document_ids: Sequence[str]) -> None:
        self.rewritable.add(collection)
        known = self._decisions[collection]
        for document_id in document_ids:
            known[document_id] = replace(known[document_id], stale=False)
            self._stale.pop((collection, document_id), None)

    def _last(self, collection: str, document_id: str) -> Decision | None:
        staged = self._staged.get((collection, document_id))
        return self._decisions[collection].get(document_id) if staged is None else staged.decision

    def _stage(self, collection: str, document_id: str, new: Decision) -> Staged:
        last = self._last(collection, document_id)
        staged = Staged(collection, document_id, replace(new, stale=new.stale or (last is not None and last.stale)))
        self._staged[collection, document_id] = staged
        return staged

    def _now(self, staged: Staged | None) -> None:
        if staged is None:
            return
        try:
            self.record([staged])
        except BaseException:
            self.abandon([staged])
            raise
        self.apply([staged])

    def close(self) -> None:
        self._db.close()
