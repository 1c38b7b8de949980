"""Database file of level 2: found, created, shared with other processes, and replaced when it is damaged.

`cache.db` is a symbolic link to the file in use, `cache.db.N`. A damaged file cannot be renamed and recreated under its
own name while another process has it open: when that process closes it, SQLite deletes the write-ahead log by name,
which would be the log of the new file. Each file therefore has a number of its own that is never used again, and the
link moves to the next file, under a lock that is held only meanwhile. Other processes notice that the link has moved.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from argosy.contracts.errors import Internal
from argosy.serving.migrations import migrate

APPLICATION_ID = 0x41724743
PAGE_BYTES = 8192
BUSY_TIMEOUT_S = 5.0
LARGEST_VALUE_BYTES = 1 << 20
_SIDE_FILES = ("-wal", "-shm", "-journal")
_STEPS = {
    1: f"""
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, used_s INTEGER NOT NULL, value BLOB NOT NULL
);
CREATE INDEX vectors_by_use ON vectors (used_s);
PRAGMA application_id = {APPLICATION_ID}
"""
}
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR,
                     sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT,
                     sqlite3.SQLITE_RANGE, sqlite3.SQLITE_INTERNAL})  # fmt: skip

Identity = tuple[int, int]


class DamagedFile(Exception):
    """The file is not a readable cache and must be set aside."""


class CacheFile:
    """Path `cache.db` and the file it links to. Methods block; other processes and threads may use the same path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def identity(self) -> Identity | None:
        """Return the device and inode of the file in use; None when there is no file."""
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def connect(self, *, log_bytes: int) -> tuple[sqlite3.Connection, Identity]:
        """Open the file in use, or create one. The connection may move between threads, one at a time.

        Raises: DamagedFile when the file is not a readable cache; sqlite3.Error and OSError when the cause may pass (a
        full disk, missing rights).
        """
        with self._locked():
            self._adopt()
            if self.identity() is None:
                self._point_to_next()
            identity = self.identity()
            if identity is None:
                raise OSError("the cache file disappeared after it was created")
            self._sweep()
            return _open(self._path, log_bytes), identity

    def replace(self, damaged: Identity) -> bool:
        """Set the damaged file aside and create a new one; return False when another process has done so already.

        Only the latest damaged file is kept.

        Raises: OSError when the files cannot be moved or created.
        """
        with self._locked():
            if self.identity() != damaged:
                return False
            target = self._path.resolve()
            self._point_to_next()
            for old in self._path.parent.glob(f"{self._path.name}.*.damaged"):
                old.unlink(missing_ok=True)
            target.rename(target.with_name(target.name + ".damaged"))
            for suffix in _SIDE_FILES:
                target.with_name(target.name + suffix).unlink(missing_ok=True)
            return True

    def bytes_on_disk(self) -> int:
        """Return the size of the file and its write-ahead log."""
        total = 0
        target = os.path.realpath(self._path)
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):
                total += os.stat(target + suffix).st_size
        return total

    def _adopt(self) -> None:
        """Give a number to a plain file under the link's name, put there by hand or copied with the folder.

        No process has it open, since every process opens files through the link.
        """
        if self._path.is_file() and not self._path.is_symlink():
            number = self._next_number()
            numbered = self._path.with_name(f"{self._path.name}.{number}")
            log = self._path.with_name(self._path.name + "-wal")
            if log.exists():
                log.rename(numbered.with_name(numbered.name + "-wal"))
            self._path.rename(numbered)
            numbered.chmod(0o600)
            self._link(numbered)

    def _point_to_next(self) -> None:
        numbered = self._path.with_name(f"{self._path.name}.{self._next_number()}")
        os.close(os.open(numbered, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._link(numbered)

    def _sweep(self) -> None:
        """Remove files that are not in use, left by a process that was killed while it moved the link."""
        used = os.readlink(self._path)
        number = re.compile(re.escape(self._path.name) + r"\.\d+")
        for entry in os.scandir(self._path.parent):
            match = number.match(entry.name)
            if match and match[0] != used and entry.name[match.end() :] in ("", *_SIDE_FILES):
                os.unlink(entry.path)

    def _link(self, numbered: Path) -> None:
        moving = self._path.with_name(self._path.name + ".link")
        moving.unlink(missing_ok=True)
        moving.symlink_to(numbered.name)
        moving.replace(self._path)

    def _next_number(self) -> int:
        pattern = re.compile(re.escape(self._path.name) + r"\.(\d+)")
        names = [entry.name for entry in os.scandir(self._path.parent)]
        if self._path.is_symlink():
            names.append(os.readlink(self._path))
        return max((int(match[1]) for name in names if (match := pattern.match(name))), default=0) + 1

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(
            self._path.with_name(self._path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is at fault, so that a retry cannot help."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by the module itself for a value whose type or size was never stored
        return not isinstance(error, sqlite3.ProgrammingError)
    return code & 0xFF in _DAMAGE or code == sqlite3.SQLITE_IOERR_SHORT_READ


def _open(path: Path, log_bytes: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.text_factory = bytes
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE_BYTES)
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA mmap_size=0")  # truncating a mapped file would kill the process that reads it
        _prepare(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA journal_size_limit={log_bytes}")
        connection.execute(f"PRAGMA wal_autocheckpoint={max(16, log_bytes // PAGE_BYTES // 2)}")
    except sqlite3.Error as error:
        connection.close()
        if is_damage(error):
            raise DamagedFile(str(error)) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Create the schema in an empty file, or check the schema of an existing one.

    Raises: DamagedFile when the schema is another one; sqlite3.Error.
    """
    version = _number(connection, "PRAGMA user_version")
    tables = _number(connection, "SELECT count(*) FROM sqlite_schema")
    if version == 0 and tables == 0:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
    elif version == 0 or _number(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise DamagedFile(f"the file is no cache; its schema has version {version}")
    try:
        migrate(connection, _STEPS, "cache.db")
    except Internal as error:
        raise DamagedFile(error.message) from error
    if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] not in (b"wal", "wal"):
        raise DamagedFile("the journal cannot be switched to write-ahead mode")
    connection.execute("SELECT id, key, used_s, value FROM vectors WHERE key = x'00'").fetchall()


def _number(connection: sqlite3.Connection, query: str) -> int:
    """Return the number that the query gives.

    Raises: DamagedFile when the result is not a number.
    """
    row = connection.execute(query).fetchone()
    if row is None or not isinstance(row[0], int):
        raise DamagedFile(f"{query} does not give a number")
    return row[0]
