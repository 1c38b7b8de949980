"""`control.db`: what the controller must remember from one run to the next. The controller alone opens it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

SCHEMA = "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"


class History:
    def __init__(self, data_dir: Path) -> None:
        path = data_dir / "control.db"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(SCHEMA)

    def next_epoch(self) -> int:
        """A number above every one given before, also by controllers that were killed."""
        row = self._db.execute(
            "INSERT INTO counters VALUES ('epoch', 1)"
            " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
        ).fetchone()
        return int(row[0])

    def close(self) -> None:
        self._db.close()
