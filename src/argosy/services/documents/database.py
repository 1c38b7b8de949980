"""One door to the catalog's database: short transactions, and its failures as errors that callers know."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select, text
from sqlalchemy.exc import OperationalError

from argosy.contracts.errors import Internal, StorageFull, Unavailable
from argosy.services.documents import schema

_BUSY_MS = 10_000
_WRITE_LOCK = 0x6172676F
"""Key of PostgreSQL's advisory lock that makes writers take turns, as SQLite does by itself."""


class Database:
    """Blocking; safe from several threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._create()

    @classmethod
    def open(cls, path: Path) -> Database:
        """The SQLite file at `path`, made (0600) if missing. Raises: Internal, it was written by a newer release."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        engine = create_engine(f"sqlite:///{path}", pool_size=4, max_overflow=12)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return cls(engine)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one moment and changes nothing."""
        with _translated(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that no other writer interrupts; durable once this returns, undone when it raises."""
        writing = self._engine.execution_options(argosy_write=True)
        with _translated(), writing.begin() as connection:
            if not self._sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITE_LOCK})
            yield connection

    def close(self) -> None:
        self._engine.dispose()

    def _create(self) -> None:
        with self.write() as connection:
            schema.metadata.create_all(connection)
            found = connection.execute(select(schema.catalog.c.schema_version)).scalar()
            if found is None:
                connection.execute(insert(schema.catalog).values(schema_version=schema.VERSION))
            elif found > schema.VERSION:
                raise Internal("The catalog was written by a newer release of Argosy. Start that release instead.")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        reason = str(error).lower()
        if "disk is full" in reason or "no space" in reason:
            raise StorageFull("The disk is full: nothing was accepted. Free some space and try again.") from error
        raise Unavailable("The document catalog is busy or cannot be reached.", retry_after_s=1.0) from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    for setting in (
        f"busy_timeout={_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes its lock first: one that read before could not be made to wait and would fail instead."""
    writing = connection.get_execution_options().get("argosy_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
