"""Numbered steps that bring a stored file to the format of this release.

A store lists its steps by the version that each leads to. A file that is not there yet has version 0 and gets all of
them. Files from before versions were numbered have version 0 too, so the first step also accepts what they hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import TypeVar

from argosy.contracts.errors import Internal

SqliteStep = str | Callable[[sqlite3.Connection], object]
"""SQL statements separated by semicolons, or a function that executes them."""

Step = TypeVar("Step")


def due(steps: Mapping[int, Step], version: int, name: str) -> list[Step]:
    """Return the steps that `name`, a file of that version, still needs, oldest first.

    Raises: Internal, a newer release wrote the file.
    """
    newest = max(steps)
    if version > newest:
        raise Internal(
            f"{name} was written by a newer release of Argosy: its format is {version}, and this release knows "
            f"{newest}. Start that release instead."
        )
    return [steps[number] for number in sorted(steps) if number > version]


def migrate(db: sqlite3.Connection, steps: Mapping[int, SqliteStep], name: str) -> None:
    """Apply the steps that the file needs, all in one transaction; its version is `PRAGMA user_version`.

    Args:
        db: a connection without implicit transactions (`isolation_level=None`).
        name: the file's name, for the error.

    Raises: Internal, a newer release wrote the file; sqlite3.Error, and then nothing was changed.
    """
    if not due(steps, version_of(db), name):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in due(steps, version_of(db), name):  # another process may have been quicker
            if callable(step):
                step(db)
            else:
                for statement in step.split(";"):
                    db.execute(statement)
        db.execute(f"PRAGMA user_version = {max(steps)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def version_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def add_missing_columns(db: sqlite3.Connection, table: str, columns: Mapping[str, str]) -> None:
    """Add the columns that the table lacks; `columns` maps names to their definitions."""
    there = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
    for name in columns.keys() - there:
        db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")
