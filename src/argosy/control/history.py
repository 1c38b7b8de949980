"""`control.db`: what the controller must remember from one run to the next. The controller alone opens it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from argosy.contracts.events import Event
from argosy.serving import private_file

MAX_EVENTS = 20_000
TRIM_EVERY = 500
SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL, why TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS memories (name TEXT PRIMARY KEY, at REAL NOT NULL, value BLOB NOT NULL);
"""


class History:
    """Blocking, and quick: a few small rows at a time. From any thread: SQLite does one statement after another."""

    def __init__(self, data_dir: Path) -> None:
        """Raises: NotPrivate, another user may have written the file; OSError; sqlite3.Error."""
        self.folder = data_dir
        path = data_dir / "control.db"
        private_file.check(path)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
        except sqlite3.Error:
            self._db.close()
            raise

    def next_epoch(self, wall_s: float) -> int:
        """A number above every one given before, also by controllers that were killed.

        It begins at the wall time, so that it grows even when this file was lost while replicas lived.
        """
        last = self.count("epoch")
        return self.count("epoch", max(1, int(wall_s) - last))

    def count(self, name: str, by: int = 0) -> int:
        """The counter of that name after adding to it."""
        row = self._db.execute(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + ? RETURNING value",
            (name, by, by),
        ).fetchone()
        return int(row[0])

    def last_seq(self) -> int:
        row = self._db.execute("SELECT max(seq) FROM events").fetchone()
        return int(row[0] or 0)

    def append(self, events: Iterable[Event]) -> None:
        """Keeps the newest MAX_EVENTS."""
        rows = [(e.seq, e.at, e.kind, e.subject, e.before, e.after, e.why) for e in events]
        self._db.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        if any(row[0] % TRIM_EVERY == 0 for row in rows):
            self._db.execute("DELETE FROM events WHERE seq <= ?", (rows[-1][0] - MAX_EVENTS,))

    def events(self, since: int, limit: int, subject: str | None = None) -> list[Event]:
        """Oldest first, those after `since`."""
        rows = self._db.execute(
            "SELECT seq, at, kind, subject, before, after, why FROM events"
            " WHERE seq > ? AND (? IS NULL OR subject = ? OR subject LIKE ? || '-%') ORDER BY seq LIMIT ?",
            (since, subject, subject, subject, limit),
        )
        return [Event(*row) for row in rows]

    def remember(self, name: str, at: float, value: bytes) -> None:
        """Keeps one value under that name, with the wall time it is of."""
        self._db.execute("INSERT OR REPLACE INTO memories VALUES (?, ?, ?)", (name, at, value))

    def recall(self, name: str) -> tuple[float, bytes] | None:
        """What was kept last under that name: (wall time, value)."""
        row = self._db.execute("SELECT at, value FROM memories WHERE name = ?", (name,)).fetchone()
        return None if row is None else (float(row[0]), bytes(row[1]))

    def close(self) -> None:
        self._db.close()
