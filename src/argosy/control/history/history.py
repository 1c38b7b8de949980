"""`control.db`: what the controller must remember from one run to the next. The controller alone opens it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from argosy.contracts.events import Event
from argosy.control.history.control_file import FILE, STEPS
from argosy.control.history.unwritten import Memory, Unwritten
from argosy.serving import private_file
from argosy.serving.migrations import migrate
from argosy.telemetry.logs import logger

LOCKED_S = 0.5
"""How long a read waits for a lock that another process holds: it holds up the event loop."""
CLOSE_S = 5.0
MAX_EVENTS = 20_000
TRIM_EVERY = 500


log = logger("history")


class History:
    """Quick for the event loop: reads are small, and a thread writes. From any thread."""

    def __init__(self, data_dir: Path) -> None:
        """Raises: NotPrivate when another user may have written the file; Internal when a newer release wrote it;
        OSError; sqlite3.Error."""
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
            migrate(self._db, STEPS, FILE)
            self._last_seq = int(self._db.execute("SELECT max(seq) FROM events").fetchone()[0] or 0)
        except BaseException:
            self._db.close()
            self._writing.close()
            raise
        self._unwritten = Unwritten(self._write)
        self._read_problem = ""

    @property
    def problem(self) -> str:
        """Why the file cannot be written or read now; empty when all is well."""
        return self._unwritten.problem or self._read_problem

    def next_epoch(self, wall_s: float) -> int:
        """A number above every one given before, also by controllers that were killed.

        It begins at the wall time, so that it grows even when this file was lost while replicas lived, or cannot be
        written now.
        """
        try:
            last = self.count("epoch")
            return self.count("epoch", max(1, int(wall_s) - last))
        except sqlite3.Error as error:
            log.error("epoch not kept", reason=str(error))
            return int(wall_s)

    def count(self, name: str, by: int = 0) -> int:
        """The counter of that name after adding to it. Raises: sqlite3.Error."""
        row = self._db.execute(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + ? RETURNING value",
            (name, by, by),
        ).fetchone()
        return int(row[0])

    def last_seq(self) -> int:
        """Number of the newest event when the file was opened."""
        return self._last_seq

    def append(self, events: Sequence[Event]) -> None:
        """Keeps the newest MAX_EVENTS. Returns before they are written."""
        self._unwritten.add_events(events)

    def events(self, since: int, limit: int, subject: str | None = None) -> list[Event]:
        """Oldest first, those after `since`. When the file cannot be read, only those not written yet."""
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
        """Keeps one value under that name, with the wall time it is of. Returns before it is written."""
        self._unwritten.add_memory(name, (at, value))

    def recall(self, name: str) -> tuple[float, bytes] | None:
        """What was kept last under that name: (wall time, value). Raises: sqlite3.Error."""
        waiting = self._unwritten.memory(name)
        if waiting is not None:
            return waiting
        row = self._db.execute("SELECT at, value FROM memories WHERE name = ?", (name,)).fetchone()
        return None if row is None else (float(row[0]), bytes(row[1]))

    def close(self) -> None:
        """Writes what is left, for at most CLOSE_S."""
        self._unwritten.close(CLOSE_S)
        self._db.close()
        self._writing.close()

    def _write(self, events: Sequence[Event], memories: Sequence[tuple[str, Memory]]) -> None:
        """In the writer's thread: all in one transaction."""
        rows = [(e.seq, e.at, e.kind, e.subject, e.before, e.after, e.why) for e in events]
        kept = [(name, at, value) for name, (at, value) in memories]
        with self._writing:
            self._writing.execute("BEGIN IMMEDIATE")
            self._writing.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            if any(row[0] % TRIM_EVERY == 0 for row in rows):
                self._writing.execute("DELETE FROM events WHERE seq <= ?", (rows[-1][0] - MAX_EVENTS,))
            self._writing.executemany("INSERT OR REPLACE INTO memories VALUES (?, ?, ?)", kept)


def set_aside(data_dir: Path, wall_s: float) -> Path:
    """Moves a damaged `control.db` out of the way, for an expert to look at. Returns: where it is now."""
    damaged = data_dir / f"{FILE}.damaged-{int(wall_s)}"
    for suffix in ("", "-wal", "-shm"):  # SQLite finds them again by these names
        with contextlib.suppress(FileNotFoundError):
            (data_dir / f"{FILE}{suffix}").replace(f"{damaged}{suffix}")
    return damaged


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether the file itself is wrong, rather than the disk, its permissions or a lock."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


def _connection(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)


def _is_about(event: Event, subject: str | None) -> bool:
    return subject is None or event.subject == subject or event.subject.startswith(f"{subject}-")
