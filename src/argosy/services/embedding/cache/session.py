"""Connection of one thread to the cache file: opened when needed, reopened when the file was replaced."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator

from argosy.services.embedding.cache.file import CacheFile, DamagedFile, Identity, is_damage
from argosy.services.embedding.cache.statistics import DiskState
from argosy.telemetry.logs import logger

RETRY_S = 30.0
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_log = logger("embedding.cache")


class FileUnavailable(Exception):
    """The file cannot be read or written now; continue without it."""


class FileHealth:
    """State of the file, shared by all threads of the process."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._retry_at_s: float | None = None
        self.damaged_files = 0

    @property
    def state(self) -> DiskState:
        return DiskState.READY if self._retry_at_s is None else DiskState.PAUSED

    @property
    def resting(self) -> bool:
        """Whether the file is paused and the time of the next attempt has not come."""
        retry_at_s = self._retry_at_s
        return retry_at_s is not None and self._monotonic() < retry_at_s

    def pause(self, reason: Exception) -> None:
        with self._lock:
            if self._retry_at_s is None:
                _log.warning("disk cache paused", reason=str(reason), retry_s=RETRY_S)
            self._retry_at_s = self._monotonic() + RETRY_S

    def resume(self) -> None:
        with self._lock:
            if self._retry_at_s is not None:
                _log.info("disk cache resumed")
            self._retry_at_s = None

    def set_aside(self, reason: Exception) -> None:
        with self._lock:
            self.damaged_files += 1
        _log.warning("damaged cache file replaced", reason=str(reason))


class Session:
    """Connection for one thread at a time. Every error of SQLite becomes `FileUnavailable`."""

    def __init__(self, file: CacheFile, health: FileHealth, *, log_bytes: int) -> None:
        self._file = file
        self._health = health
        self._log_bytes = log_bytes
        self._connection: sqlite3.Connection | None = None
        self._identity: Identity | None = None

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one transaction; a transaction left open is rolled back.

        Raises: FileUnavailable when the file cannot be used. A damaged file has then been set aside, and the next call
        opens a new one.
        """
        try:
            connection = self._current()
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.rollback()
        except (DamagedFile, sqlite3.Error, OSError, OverflowError, MemoryError) as error:
            self._judge(error)
            raise FileUnavailable(str(error)) from error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _current(self) -> sqlite3.Connection:
        identity = self._file.identity()
        if self._connection is not None and identity == self._identity:
            return self._connection
        self.close()
        self._identity = identity
        self._connection, self._identity = self._file.connect(log_bytes=self._log_bytes)
        return self._connection

    def _judge(self, error: Exception) -> None:
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
            return
        self.close()
        if (
            isinstance(error, sqlite3.Error)
            and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED
        ):
            return  # another process has just set the file aside
        damaged = isinstance(error, DamagedFile) or (isinstance(error, sqlite3.Error) and is_damage(error))
        if not damaged:
            self._health.pause(error)
            return
        try:
            identity = self._identity or self._file.identity()
            if identity is not None and self._file.replace(identity):
                self._health.set_aside(error)
        except OSError as failed:
            self._health.pause(failed)
