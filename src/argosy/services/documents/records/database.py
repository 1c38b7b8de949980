"""Access to the catalog's database: short transactions, and database failures as Argosy errors."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, inspect, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from argosy.contracts.errors import ConfigError, Internal, StorageFull, Unavailable
from argosy.services.documents.records import schema

_BUSY_MS = 10_000
_SCRUB_BUSY_MS = 500
"""Longest wait of a scrub for the database: other writers have to wait for as long."""
_WRITE_LOCK = 0x6172676F
"""Key of the PostgreSQL advisory lock that serialises exclusive writers of the catalog."""
_CONNECT_TIMEOUT_S = 5
_LIMITS = "-c lock_timeout=10s -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s"
URL_VARIABLE = "DATABASE_URL"


class Database:
    """The catalog's database. Methods block and may be called from several threads and processes.

    A broken connection is replaced at its next use.
    """

    def __init__(self, engine: Engine, now: Callable[[], float] | None, busy_ms: int = _BUSY_MS) -> None:
        """Wrap an engine. `now` is wall-clock time; None uses the server's clock, which all machines share."""
        self._engine = engine
        self._clock = now
        self._sqlite = engine.dialect.name == "sqlite"
        self._busy_s = busy_ms / 1000
        self._turn = threading.Lock()
        self._create()

    @classmethod
    def open(cls, path: Path, now: Callable[[], float] = time.time, busy_ms: int = _BUSY_MS) -> Database:
        """Open the SQLite file at `path`, created with mode 0600 if missing.

        Raises: Internal when the file was written by a newer release.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        engine = create_engine(f"sqlite:///{path}", pool_size=4, max_overflow=12)
        event.listen(engine, "connect", lambda connection, _: _prepare_sqlite(connection, busy_ms))
        event.listen(engine, "begin", _begin_sqlite)
        return cls(engine, now, busy_ms)

    @classmethod
    def connect(cls, url: str, now: Callable[[], float] | None = None) -> Database:
        """Connect to the PostgreSQL database at `url`.

        Raises: ConfigError when the driver is missing or `url` is not a PostgreSQL address; Unavailable when the
        database cannot be reached; Internal when it was written by a newer release.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise ConfigError(f"{URL_VARIABLE} is not an address; write postgresql://user@host/database.") from error
        if parsed.drivername.partition("+")[0] not in ("postgresql", "postgres"):
            raise ConfigError(
                f"{URL_VARIABLE} names {parsed.drivername}, but services.documents.database is postgresql; "
                "write postgresql://user@host/database."
            )
        given = parsed.query.get("options", "")
        options = f"{_LIMITS} {given if isinstance(given, str) else ' '.join(given)}"  # the address overrides
        try:
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
                pool_size=4,
                max_overflow=12,
                pool_timeout=10,
                pool_pre_ping=True,
                connect_args={
                    "application_name": "argosy",
                    "connect_timeout": _CONNECT_TIMEOUT_S,
                    "options": options,
                },
            )
        except ImportError as error:
            raise ConfigError("PostgreSQL needs its driver; install it with: pip install 'argosy[postgres]'") from error
        return cls(engine, now)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Run a read-only transaction on a consistent snapshot."""
        engine = self._engine if self._sqlite else self._engine.execution_options(isolation_level="REPEATABLE READ")
        with _translated(), engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self, *, alone: bool = False) -> Iterator[Connection]:
        """Run a writing transaction: durable once the block ends, rolled back when it raises.

        With `alone`, no other `alone` writer runs meanwhile; use it for decisions that depend on counts. Without it,
        the changed rows are locked until the transaction ends. Write rows of `jobs` before rows of `documents`,
        otherwise two writers may deadlock. On SQLite every writer is alone.
        """
        writing = self._engine.execution_options(argosy_write=True)
        with self._own_turn(), _translated(), writing.begin() as connection:
            if alone and not self._sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITE_LOCK})
            yield connection

    @contextlib.contextmanager
    def _own_turn(self) -> Iterator[None]:
        """Serialise the writers of this process on SQLite, whose own waiting is to sleep and poll."""
        if not self._sqlite:
            yield
            return
        if not self._turn.acquire(timeout=self._busy_s):
            raise Unavailable("The document catalog is busy or cannot be reached.", retry_after_s=1.0)
        try:
            yield
        finally:
            self._turn.release()

    def now(self, connection: Connection) -> float:
        """Return the wall-clock time in seconds, by the clock that all users of this database share."""
        if self._clock is not None:
            return self._clock()
        return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())

    def scrub(self) -> None:
        """Remove overwritten and deleted data from SQLite's write-ahead log too. PostgreSQL needs no such call.

        While a long read or write is in progress nothing is removed; the next call does it.
        """
        if not self._sqlite:
            return
        with _translated(), contextlib.closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            (before_ms,) = cursor.execute("PRAGMA busy_timeout").fetchone()
            cursor.execute(f"PRAGMA busy_timeout={_SCRUB_BUSY_MS}")
            try:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                cursor.execute(f"PRAGMA busy_timeout={before_ms}")
                cursor.close()

    def close(self) -> None:
        self._engine.dispose()

    def _create(self) -> None:
        with self.write(alone=True) as connection:
            schema.metadata.create_all(connection, tables=[schema.catalog])
            found = connection.execute(select(schema.catalog.c.schema_version)).scalar()
            if found is not None and found > schema.VERSION:
                raise Internal("The catalog was written by a newer release of Argosy. Start that release instead.")
            if found is not None and found < schema.VERSION:
                _upgrade(connection)
            schema.metadata.create_all(connection)
            if found is None:
                connection.execute(insert(schema.catalog).values(schema_version=schema.VERSION))
            else:
                connection.execute(update(schema.catalog).values(schema_version=schema.VERSION))


def open_database(kind: str, folder: Path, environ: Mapping[str, str]) -> Database:
    """Open the database that the fleet file selects. The environment only supplies the address of PostgreSQL.

    Raises: ConfigError when the address is missing; otherwise like `Database.open` and `Database.connect`.
    """
    if kind == "sqlite":
        return Database.open(folder / "catalog.db")
    url = environ.get(URL_VARIABLE, "").strip()
    if not url:
        raise ConfigError(
            f'services.documents.database = "postgresql" needs the variable {URL_VARIABLE}; '
            f"set it to the database's address, {URL_VARIABLE}=postgresql://user@host/database"
        )
    return Database.connect(url)


def _upgrade(connection: Connection) -> None:
    """Add columns and indexes that an older catalog lacks, and drop unused columns. New columns may all be empty."""
    found = inspect(connection)
    for table in schema.metadata.sorted_tables:
        if not found.has_table(table.name):
            continue
        there = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                kind = column.type.compile(connection.dialect)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))
        for name in there - set(table.columns.keys()):
            connection.execute(text(f"ALTER TABLE {table.name} DROP COLUMN {name}"))
        known = {index["name"] for index in found.get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in known:
                index.create(connection)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, sqlite3.OperationalError) as error:
        reason = str(error).lower()
        if "disk is full" in reason or "no space" in reason:
            raise StorageFull("The disk is full: nothing was accepted. Free some space and try again.") from error
        raise Unavailable("The document catalog is busy or cannot be reached.", retry_after_s=1.0) from error


def _prepare_sqlite(connection: Any, busy_ms: int) -> None:
    connection.isolation_level = None  # stops the driver from beginning transactions itself
    cursor = connection.cursor()
    for setting in (
        f"busy_timeout={busy_ms}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction. A writer takes its lock at once: after a read, SQLite would fail rather than wait."""
    writing = connection.get_execution_options().get("argosy_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
