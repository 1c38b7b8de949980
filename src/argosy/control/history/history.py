"""History in `control.db`: events, counters and memories kept between runs. Only the controller opens it to write."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from argosy.contracts.events import Event
from argosy.control.history.unwritten import Memory, Unwritten
from argosy.serving import private_file
from argosy.telemetry.logs import logger

FILE = "control.db"
LOCKED_S = 0.5
"""Longest wait of a read for a lock of another process. It is short because it blocks the event loop."""
CLOSE_S = 5.0
MAX_EVENTS = 20_000
"""Number of newest events that are kept."""
TRIM_EVERY = 500
SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL, why TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS memories (name TEXT PRIMARY KEY, at REAL NOT NULL, value BLOB NOT NULL);
"""


log = logger("history")


class History:
    """History of a controller. Reads are small and a thread writes, so the event loop is not blocked.

    Usable from any thread.
    """

    def __init__(self, data_dir: Path) -> None:
        """Open or create `control.db`.

        Raises: NotPrivate when another user may have written the file; OSError or sqlite3.Error when it cannot be
        opened.
        """
        self.folder = data_dir
        path = data_dir / FILE
        private_file.check(path)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = _connection(path)
        self._writing = _connection(path)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            for connection in (self._db, self._writing):
                connection.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
            self._last_seq = int(self._db.execute("SELECT max(seq) FROM events").fetchone()[0] or 0)
        except sqlite3.Error:
            self._db.close()
            self._writing.close()
            raise
        self._unwritten = Unwritten(self._write)
        self._read_problem = ""

    @property
    def problem(self) -> str:
        """Reason for which the file cannot be written or read now; empty when it can."""
        return self._unwritten.problem or self._read_problem

    def next_epoch(self, wall_s: float) -> int:
        """Return a number above all numbers returned before, including those of controllers that were killed.

        The number is at least the wall time. So it grows even when this file was lost while replicas lived, or cannot
        be written now.
        """
        try:
            last = self.count("epoch")
            return self.count("epoch", max(1, int(wall_s) - last))
        except sqlite3.Error as error:
            log.error("epoch not stored", reason=str(error))
            return int(wall_s)

    def count(self, name: str, by: int = 0) -> int:
        """Add to the counter of that name and return its value. Raises: sqlite3.Error."""
        row = self._db.execute(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + ? RETURNING value",
            (name, by, by),
        ).fetchone()
        return int(row[0])

    def last_seq(self) -> int:
        """Return the number of the newest event when the file was opened."""
        return self._last_seq

    def append(self, events: Sequence[Event]) -> None:
        """Append events and keep the newest MAX_EVENTS. Return before they are written."""
        self._unwritten.add_events(events)

    def events(self, since: int, limit: int, subject: str | None = None) -> list[Event]:
        """Return at most `limit` events after `since`, oldest first.

        `subject` selects the events of one service or replica. While the file cannot be read, only events that are not
        written yet are returned.
        """
        waiting = {
            event.seq: event for event in self._unwritten.events() if event.seq > since and _is_about(event, subject)
        }
        found = {event.seq: event for event in self._written(since, limit, subject)} | waiting
        return [found[seq] for seq in sorted(found)[:limit]]

    def _written(self, since: int, limit: int, subject: str | None) -> list[Event]:
        try:
            rows = self._db.execute(
                "SELECT seq, at, kind, subject, before, after, why FROM events"
                " WHERE seq > ? AND (? IS NULL OR subject = ? OR subject LIKE ? || '-%') ORDER BY seq LIMIT ?",
                (since, subject, subject, subject, limit),
            ).fetchall()
        except sqlite3.Error as error:
            self._read_problem = str(error)
            return []
        self._read_problem = ""
        return [Event(*row) for row in rows]

    def remember(self, name: str, at: float, value: bytes) -> None:
        """Store one value under that name, with its wall time. Return before it is written."""
        self._unwritten.add_memory(name, (at, value))

    def recall(self, name: str) -> tuple[float, bytes] | None:
        """Return the latest (wall time, value) under that name, or None. Raises: sqlite3.Error."""
        waiting = self._unwritten.memory(name)
        if waiting is not None:
            return waiting
        row = self._db.execute("SELECT at, value FROM memories WHERE name = ?", (name,)).fetchone()
        return None if row is None else (float(row[0]), bytes(row[1]))

    def close(self) -> None:
        """Write the remaining events and memories, for at most CLOSE_S, and close the file."""
        self._unwritten.close(CLOSE_S)
        self._db.close()
        self._writing.close()

    def _write(self, events: Sequence[Event], memories: Sequence[tuple[str, Memory]]) -> None:
        """Write everything in one transaction. Runs in the writer thread. Raises: sqlite3.Error."""
        rows = [(e.seq, e.at, e.kind, e.subject, e.before, e.after, e.why) for e in events]
        kept = [(name, at, value) for name, (at, value) in memories]
        with self._writing:
            self._writing.execute("BEGIN IMMEDIATE")
            self._writing.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            if any(row[0] % TRIM_EVERY == 0 for row in rows):
                self._writing.execute("DELETE FROM events WHERE seq <= ?", (rows[-1][0] - MAX_EVENTS,))
            self._writing.executemany("INSERT OR REPLACE INTO memories VALUES (?, ?, ?)", kept)


def set_aside(data_dir: Path, wall_s: float) -> Path:
    """Rename a damaged `control.db` and keep it for examination. Returns: the new path."""
    damaged = data_dir / f"{FILE}.damaged-{int(wall_s)}"
    for suffix in ("", "-wal", "-shm"):  # SQLite finds the companion files by these names
        with contextlib.suppress(FileNotFoundError):
            (data_dir / f"{FILE}{suffix}").replace(f"{damaged}{suffix}")
    return damaged


def is_damaged(error: sqlite3.Error) -> bool:
    """Return whether the file itself is damaged, as opposed to a fault of the disk, of permissions or of a lock."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


def _connection(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)


def _is_about(event: Event, subject: str | None) -> bool:
    return subject is None or event.subject == subject or event.subject.startswith(f"{subject}-")
