"""Visible version of each document: `published.db`, one SQLite file, with a copy in memory for queries.

Each change is one transaction, so it is atomic; the copy is updated after the commit. After a document is forgotten its
row remains as a tombstone: `version` is the highest version ever decided on, and no version up to it can be published
again.
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
"""Columns that are missing in files of older releases."""
DECIDE = """
INSERT INTO documents (collection, document_id, version, visible, chunks, stale, fields) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (collection, document_id) DO UPDATE
SET version = excluded.version, visible = excluded.visible, chunks = excluded.chunks,
    stale = excluded.stale OR documents.stale, fields = excluded.fields
"""

_UNUSABLE = "The store's record of published documents cannot be used. Restore the data_dir from a backup."


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection. `folder` is the folder name of its shard, which is never reused.

    `model` and `dimensions` are None until the first upsert.
    """

    name: str
    folder: str
    model: str | None = None
    dimensions: int | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Latest decision on a document: `version` is visible with `chunks` points, or forgotten if not `visible`.

    `stale` means that points of earlier versions or of the forgotten document may still be in the shard.
    """

    version: int
    visible: bool
    chunks: int
    stale: bool
    fields: str = ""
    """`DocumentFields` of the document as JSON; empty when its chunks contain these fields themselves."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A decision that is neither recorded nor visible yet."""

    collection: str
    document_id: str
    decision: Decision


@dataclass(slots=True)
class Shown:
    """Number of visible documents and points of a collection."""

    documents: int = 0
    points: int = 0

    def replace(self, old: Decision | None, new: Decision) -> None:
        """Update the counts for a decision that replaces `old`."""
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
            raise Unavailable("Another store process has this data_dir open; stop that process first.") from error
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise StorageFull("The disk is full, so the store could not record the change. Free disk space.") from error
        raise Internal(_UNUSABLE) from error
    except sqlite3.DatabaseError as error:
        raise Internal(_UNUSABLE) from error


class Publication:
    """Owner of `published.db`. All methods block; a second process that opens the file gets Unavailable.

    All methods run on one thread, except `record`, `record_swept` and `scrub`, which wait for the disk and may run on
    another thread at the same time. A decision is staged (no older version is admitted after this), recorded (it
    survives a loss of power), and applied (it is visible), or abandoned when it could not be recorded.
    """

    def __init__(self, path: Path) -> None:
        """Open or create `path` (mode 0600).

        Raises: Unavailable when another process has the file open; Internal when the file is damaged.
        """
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._writing = threading.Lock()
        # Statements of two threads never overlap, because the lock is held during each whole transaction.
        self._db = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
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
        self._db.executescript(SCHEMA)
        for table, columns in ADDED.items():
            there = {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}
            for column in columns.keys() - there:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {columns[column]}")
        rows = self._db.execute("SELECT name, folder, model, dimensions, generation FROM collections ORDER BY name")
        self._collections = {row[0]: Collection(*row) for row in rows}
        self._dropped: dict[str, int] = dict(self._db.execute("SELECT name, generation FROM dropped"))
        self.rewritable = {row[0] for row in self._db.execute("SELECT name FROM collections WHERE rewrite")}
        """Collections whose shard files still contain bytes of deleted points."""
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
        """Return the latest decision on each document of a known collection, by document id, as a live view."""
        return MappingProxyType(self._decisions[collection])

    def shown(self, collection: str) -> Shown:
        """Return the visible counts of a known collection. They are kept in memory and updated by each decision."""
        return self._shown[collection]

    def ensure(self, name: str, generation: int = 0) -> Collection:
        """Return the collection; create it without a model when it is new.

        Raises: CollectionNotFound when this generation was dropped or another generation exists.
        """
        known = self._collections.get(name)
        if known is not None and known.generation == generation:
            return known
        if known is not None or self._dropped.get(name, -1) >= generation:
            raise CollectionNotFound(f"Collection {name!r} was deleted. Create it again.", param="collection")
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
        """Set the model of a known collection that has none yet."""
        with self._writing, _wrapped():
            self._db.execute(
                "UPDATE collections SET model = ?, dimensions = ? WHERE name = ?", (model, dimensions, name)
            )
        self._collections[name] = replace(self._collections[name], model=model, dimensions=dimensions)
        return self._collections[name]

    def move(self, name: str, folder: str, *, rewrite: bool) -> Collection:
        """Replace the folder of the collection's shard atomically.

        `rewrite` means that the new folder already contains deleted points.
        """
        with self._writing, _wrapped():
            self._db.execute("UPDATE collections SET folder = ?, rewrite = ? WHERE name = ?", (folder, rewrite, name))
        self._collections[name] = replace(self._collections[name], folder=folder)
        return self._collections[name]

    def soil(self, name: str) -> None:
        """Record that the shard's files contain bytes of deleted points."""
        if name not in self.rewritable:
            with self._writing, _wrapped():
                self._db.execute("UPDATE collections SET rewrite = 1 WHERE name = ?", (name,))
            self.rewritable.add(name)

    def drop(self, name: str, generation: int = 0) -> None:
        """Remove the collection, its documents and their tombstones. An unknown collection is no error.

        A generation above 0 leaves a tombstone and can never be created again. A newer generation stays.
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
        """Remove overwritten and deleted data from the write-ahead log too."""
        with self._writing, _wrapped():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def admit(self, collection: str, document_id: str, version: int) -> None:
        """Check that `version` can still become visible. Raises: Conflict when it cannot, so its chunks are refused."""
        last = self._last(collection, document_id)
        if last is None or version > last.version or (version == last.version and last.visible):
            return
        if last.visible:
            raise Conflict(
                f"Document {document_id} is published as version {last.version}; version {version} is not newer. "
                "Send a newer version."
            )
        raise Conflict(
            f"Document {document_id} was forgotten at version {last.version}; add it again under a newer version."
        )

    def publish(
        self, collection: str, document_id: str, version: int, *, chunks: int, stale: bool, fields: str = ""
    ) -> None:
        """Make `version` the visible version. Publishing it again with the same chunks and fields changes nothing.

        Raises: Conflict when a newer version is published or this version was forgotten.
        """
        self._now(self.stage_publish(collection, document_id, version, chunks=chunks, stale=stale, fields=fields))

    def forget(self, collection: str, document_id: str, version: int, *, stale: bool) -> None:
        """Make the document invisible and refuse versions up to `version` from now on; a newer decision stays."""
        self._now(self.stage_forget(collection, document_id, version, stale=stale))

    def stage_publish(
        self, collection: str, document_id: str, version: int, *, chunks: int, stale: bool, fields: str = ""
    ) -> Staged | None:
        """Stage a publication without recording it. Returns: None when nothing has to be recorded.

        Raises: Conflict as `publish` does.
        """
        self.admit(collection, document_id, version)
        last = self._last(collection, document_id)
        if last is not None and (last.version, last.chunks, last.fields) == (version, chunks, fields):
            return None
        return self._stage(collection, document_id, Decision(version, True, chunks, stale, fields))

    def stage_forget(self, collection: str, document_id: str, version: int, *, stale: bool) -> Staged | None:
        """Stage the forgetting of a document without recording it. Returns: None when nothing has to be recorded."""
        last = self._last(collection, document_id)
        if last is None or version > last.version or (version == last.version and last.visible):
            return self._stage(collection, document_id, Decision(version, False, 0, stale))
        return None

    def record(self, staged: Sequence[Staged]) -> None:
        """Make the decisions durable in one commit, all or none.

        Raises: CollectionNotFound when one of the collections was dropped; StorageFull when the disk is full; Internal
        when the file cannot be used.
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
                raise CollectionNotFound("The collection was deleted. Create it again.", param="collection") from error

    def apply(self, staged: Sequence[Staged]) -> None:
        """Make recorded decisions visible, in the given order, which must be the order of staging."""
        for one in staged:
            known = self._decisions.get(one.collection)
            if known is not None:
                self._shown[one.collection].replace(known.get(one.document_id), one.decision)
                known[one.document_id] = one.decision
                if one.decision.stale:
                    self._stale[one.collection, one.document_id] = None
        self.abandon(staged)

    def abandon(self, staged: Sequence[Staged]) -> None:
        """Discard decisions that could not be recorded."""
        for one in staged:
            if self._staged.get((one.collection, one.document_id)) is one:
                del self._staged[one.collection, one.document_id]

    def stale(self, limit: int, without: Container[str] = ()) -> list[tuple[str, str, Decision]]:
        """Return up to `limit` documents with points to delete, as (collection, document id, decision).

        Collections in `without` are skipped.
        """
        found = ((c, d, self._decisions[c][d]) for c, d in self._stale if c not in without)
        return list(islice(found, limit))

    def swept(self, collection: str, document_ids: Sequence[str]) -> None:
        """Record in one commit that no stale points of these documents are left in the index."""
        self.record_swept(collection, document_ids)
        self.apply_swept(collection, document_ids)

    def record_swept(self, collection: str, document_ids: Sequence[str]) -> None:
        """Make the result of a sweep durable. Waits for the disk."""
        with self._writing, _wrapped(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "UPDATE documents SET stale = 0 WHERE collection = ? AND document_id = ?",
                [(collection, document_id) for document_id in document_ids],
            )
            self._db.execute("UPDATE collections SET rewrite = 1 WHERE name = ?", (collection,))

    def apply_swept(self, collection: str, document_ids: Sequence[str]) -> None:
        """Apply the recorded result of a sweep in memory."""
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
