"""File `published.db`: its tables, its transactions and the errors of SQLite.

One connection serves two threads. A lock is held during each transaction, so that their statements never overlap.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from argosy.contracts.errors import CollectionNotFound, Internal, StorageFull, Unavailable
from argosy.services.store.decisions import Collection, Decision, Staged
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
"""Columns that are missing in files of older releases."""


def _first(db: sqlite3.Connection) -> None:
    """Create the tables, or bring those from before versions were numbered to the same columns."""
    for statement in SCHEMA.split(";"):
        db.execute(statement)
    for table, columns in ADDED.items():
        add_missing_columns(db, table, columns)


def _analysed(db: sqlite3.Connection) -> None:
    """Add the version of the analysis. Collections of older releases have the version 0 and are analysed anew."""
    add_missing_columns(db, "collections", {"analysis": "INTEGER NOT NULL DEFAULT 0"})


STEPS = {1: _first, 2: _analysed}
DECIDE = """
INSERT INTO documents (collection, document_id, version, visible, chunks, stale, fields) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (collection, document_id) DO UPDATE
SET version = excluded.version, visible = excluded.visible, chunks = excluded.chunks,
    stale = excluded.stale OR documents.stale, fields = excluded.fields
"""

_UNUSABLE = "The store's record of published documents cannot be used. Restore the data_dir from a backup."


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


class PublishedFile:
    """Open file `published.db`. A second process that opens the file gets Unavailable."""

    def __init__(self, path: Path, lock_wait_s: float) -> None:
        """Open or create `path` (mode 0600).

        Raises: Unavailable when another process has the file open; Internal when the file is damaged or
        a newer release wrote it.
        """
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._writing = threading.Lock()
        self._db = sqlite3.connect(path, timeout=lock_wait_s, isolation_level=None, check_same_thread=False)
        try:
            with _wrapped():
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("PRAGMA foreign_keys = ON")
                self._db.execute("PRAGMA secure_delete = ON")
                migrate(self._db, STEPS, "published.db")
        except BaseException:
            self._db.close()
            raise

    def collections(self) -> list[Collection]:
        """Return all collections, by name."""
        with _wrapped():
            rows = self._db.execute(
                "SELECT name, folder, model, dimensions, generation, analysis FROM collections ORDER BY name"
            )
            return [Collection(*row) for row in rows]

    def dropped(self) -> dict[str, int]:
        """Return the last dropped generation of each name."""
        with _wrapped():
            return dict(self._db.execute("SELECT name, generation FROM dropped"))

    def rewritable(self) -> set[str]:
        """Return the collections whose shard files still contain bytes of deleted points."""
        with _wrapped():
            return {row[0] for row in self._db.execute("SELECT name FROM collections WHERE rewrite")}

    def decisions(self) -> Iterator[tuple[str, str, Decision]]:
        """Yield the latest decision on each document, as (collection, document id, decision)."""
        with _wrapped():
            for collection, document_id, version, visible, chunks, stale, fields in self._db.execute(
                "SELECT collection, document_id, version, visible, chunks, stale, fields FROM documents"
            ):
                yield collection, document_id, Decision(version, bool(visible), chunks, bool(stale), fields)

    def execute(self, statement: str, values: Sequence[str | int | None]) -> None:
        """Execute one statement as one transaction."""
        with self._writing, _wrapped():
            self._db.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run several statements as one transaction, which is rolled back on an error."""
        with self._writing, _wrapped(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db

    def decide(self, staged: Sequence[Staged]) -> None:
        """Make the decisions durable in one commit, all or none.

        Raises: CollectionNotFound when one of the collections was dropped.
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
        with self.transaction() as db:
            try:
                db.executemany(DECIDE, rows)
            except sqlite3.IntegrityError as error:
                raise CollectionNotFound("The collection was deleted. Create it again.", param="collection") from error

    def scrub(self) -> None:
        """Remove overwritten and deleted data from the write-ahead log too."""
        with self._writing, _wrapped():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        self._db.close()
