"""Level 2: one SQLite file, read by one thread and written by another, shared with the other replicas of the host.

A crash may lose the last writes but never makes a wrong row readable, because every row has a checksum over its key
and all other contents. The time of last use is written late and in coarse steps, so that reads cause few writes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from argosy.services.embedding.cache.backlog import Backlog, Item, PendingWrite
from argosy.services.embedding.cache.file import PAGE_BYTES, CacheFile
from argosy.services.embedding.cache.rows import Precision, Row, decode, encode
from argosy.services.embedding.cache.session import FileHealth, FileUnavailable, Session
from argosy.services.embedding.cache.statistics import DiskState
from argosy.telemetry.logs import logger

READ_PATIENCE_S = 1.0
CLOSE_PATIENCE_S = 5.0
TICK_S = 1.0
USE_STEP_S = 600
USE_FLUSH_S = 60.0
SURVEY_S = 30.0
KEYS_PER_QUERY = 64
ROWS_PER_WRITE = 256
ROUNDS_OF_EVICTION = 16
PAGES_PER_RETURN = 256
MAX_BACKLOG = 8192
MAX_USED = 65_536
LOG_BYTES = 4 * 2**20

_SELECT = f"SELECT key, value FROM vectors WHERE key IN ({','.join('?' * KEYS_PER_QUERY)})"
_log = logger("embedding.cache")


@dataclass(frozen=True, slots=True)
class DiskCounts:
    state: DiskState
    entries: int
    bytes_used: int
    bytes_limit: int
    evictions: int
    dropped_writes: int
    damaged_values: int
    damaged_files: int


class DiskLevel:
    """Level 2. `read`, `write`, `touch` and `counts` may run on the event loop; `close` and `flush` block."""

    def __init__(
        self,
        path: Path,
        *,
        limit_bytes: int,
        precision: Precision,
        ttl_s: float,
        read_patience_s: float = READ_PATIENCE_S,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._read_patience_s = read_patience_s
        self._limit_bytes = limit_bytes
        log_bytes = min(LOG_BYTES, limit_bytes // 4)
        self._pages_limit = max(8, (limit_bytes - log_bytes) // PAGE_BYTES)
        self._precision = precision
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._wall = wall
        self._file = CacheFile(path)
        self._health = FileHealth(monotonic)
        self._backlog = Backlog(max_items=MAX_BACKLOG, max_used=MAX_USED)
        self._reading = Session(self._file, self._health, log_bytes=log_bytes)
        self._writing = Session(self._file, self._health, log_bytes=log_bytes)
        self._late: asyncio.Future[dict[bytes, Row]] | None = None
        self._entries = self._bytes_used = self._evictions = self._damaged_values = self._dropped = 0
        self._survey_at_s = self._use_flush_at_s = float("-inf")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="cache-reader")
        self._writer = threading.Thread(target=self._run, name="cache-writer", daemon=True)
        self._writer.start()

    async def read(self, keys: Sequence[bytes]) -> dict[bytes, Row]:
        """Return the valid rows of these keys. A read that takes longer than `read_patience_s` counts as a miss."""
        if self._late is not None and not self._late.done():
            return {}
        reading = asyncio.get_running_loop().run_in_executor(self._reader, self.read_now, keys)
        done, _ = await asyncio.wait({reading}, timeout=self._read_patience_s)
        if not done:
            self._late = reading
            _log.warning("disk cache read timed out", waited_s=self._read_patience_s)
            return {}
        return reading.result()

    def read_now(self, keys: Sequence[bytes]) -> dict[bytes, Row]:
        """Return the valid rows of these keys; blocks. Only one thread at a time may call it."""
        found: dict[bytes, Row] = {}
        if self._health.resting:
            return found
        bad: list[bytes] = []
        try:
            with self._reading.connection() as connection:
                for start in range(0, len(keys), KEYS_PER_QUERY):
                    self._read_some(connection, keys[start : start + KEYS_PER_QUERY], found, bad)
        except FileUnavailable:
            return {}
        if bad:
            self._backlog.delete(bad)
        return found

    def write(self, items: Sequence[Item]) -> None:
        self._backlog.offer(items)

    def touch(self, key: bytes) -> None:
        """Record a use of the key in either level: level 2 must not evict a vector that level 1 serves."""
        self._backlog.use(key)

    def counts(self) -> DiskCounts:
        return DiskCounts(
            state=self._health.state,
            entries=self._entries,
            bytes_used=self._bytes_used,
            bytes_limit=self._limit_bytes,
            evictions=self._evictions,
            dropped_writes=self._backlog.dropped + self._dropped,
            damaged_values=self._damaged_values,
            damaged_files=self._health.damaged_files,
        )

    def flush(self, timeout_s: float = CLOSE_PATIENCE_S) -> bool:
        """Wait until all work offered so far is written or dropped; return whether that happened in time."""
        return self._backlog.drained(timeout_s)

    def close(self) -> None:
        self._backlog.close()
        self._writer.join(CLOSE_PATIENCE_S)
        stuck = self._late is not None and not self._late.done()
        if not stuck:
            self._reader.submit(self._reading.close)
        self._reader.shutdown(wait=not stuck, cancel_futures=False)

    def _read_some(
        self, connection: sqlite3.Connection, keys: Sequence[bytes], found: dict[bytes, Row], bad: list[bytes]
    ) -> None:
        # The number of parameters is always the same, so that one prepared statement serves every query.
        padded = (*keys, *([keys[0]] * (KEYS_PER_QUERY - len(keys))))
        rows = connection.execute(_SELECT, padded).fetchall()
        now_s = self._wall()
        wanted = frozenset(keys)
        whole = [(key, value) for key, value in rows if key in wanted and isinstance(value, bytes)]
        self._damaged_values += len(rows) - len(whole)
        for (key, _), row in zip(whole, decode([k for k, _ in whole], [v for _, v in whole]), strict=True):
            if row is None:
                self._damaged_values += 1
                bad.append(key)
            elif now_s - row.stored_s >= self._ttl_s:
                bad.append(key)
            else:
                found[key] = row
                self._backlog.use(key)

    def _run(self) -> None:
        timeout_s = 0.0  # the first round opens the file at once
        while True:
            flush_used = self._monotonic() >= self._use_flush_at_s
            work = self._backlog.take(at_most=ROWS_PER_WRITE, with_used=flush_used, timeout_s=timeout_s)
            timeout_s = TICK_S
            if work is None:
                break
            try:
                self._do(work)
            except Exception:  # the thread must survive any unforeseen error
                self._dropped += len(work.items)
                _log.exception("disk cache write failed")
            if flush_used and len(work.used) < ROWS_PER_WRITE:
                self._use_flush_at_s = self._monotonic() + USE_FLUSH_S
        self._writing.close()

    def _do(self, work: PendingWrite) -> None:
        """Write the transaction. After a failure, try once more: a damaged file has been replaced by then."""
        for _ in range(2):
            if self._health.resting:
                break
            try:
                with self._writing.connection() as connection:
                    self._commit(connection, work)
                    self._keep_bounds(connection)
                    self._survey(connection)
                if work.items or work.deletions:  # an idle round does not show whether the disk is still full
                    self._health.resume()
                return
            except FileUnavailable:
                continue
        self._dropped += len(work.items)

    def _commit(self, connection: sqlite3.Connection, work: PendingWrite) -> None:
        if not (work.items or work.deletions or work.used):
            return
        wall_s = self._wall()
        now_s = int(wall_s)
        rows = [
            (key, now_s, encode(key, value, stored_s=wall_s, precision=self._precision)) for key, value in work.items
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("DELETE FROM vectors WHERE key = ?", [(key,) for key in work.deletions])
        connection.executemany("INSERT OR REPLACE INTO vectors (key, used_s, value) VALUES (?, ?, ?)", rows)
        # A last use in the future was written before the clock was set back; it is corrected here.
        connection.executemany(
            "UPDATE vectors SET used_s = ? WHERE key = ? AND used_s NOT BETWEEN ? AND ?",
            [(now_s, key, now_s - USE_STEP_S, now_s) for key in work.used],
        )
        connection.execute("COMMIT")
        self._entries += len(rows)

    def _keep_bounds(self, connection: sqlite3.Connection) -> None:
        """Evict the least recently used rows until the pages in use fit; return free pages of an oversized file."""
        expired_s = self._wall() - self._ttl_s
        if expired_s > 0:
            self._evict(connection, "DELETE FROM vectors WHERE used_s < ?", (int(expired_s),))
        for _ in range(ROUNDS_OF_EVICTION):
            pages = _pragma(connection, "page_count")
            if pages <= self._pages_limit:
                break
            free = _pragma(connection, "freelist_count")
            if pages - free <= self._pages_limit:
                # This is a script, because `execute` takes a single step of the statement, which returns a single page.
                connection.executescript(
                    f"PRAGMA incremental_vacuum({min(PAGES_PER_RETURN, pages - self._pages_limit)})"
                )
                continue
            self._evict(
                connection,
                "DELETE FROM vectors WHERE id IN (SELECT id FROM vectors ORDER BY used_s LIMIT ?)",
                (ROWS_PER_WRITE,),
            )
        self._bytes_used = self._file.bytes_on_disk()

    def _evict(self, connection: sqlite3.Connection, statement: str, parameters: tuple[int, ...]) -> None:
        deleted = connection.execute(statement, parameters).rowcount
        self._evictions += deleted
        self._entries = max(0, self._entries - deleted)

    def _survey(self, connection: sqlite3.Connection) -> None:
        """Count the rows of all replicas, once per SURVEY_S, because the count reads a whole index."""
        now_s = self._monotonic()
        if now_s >= self._survey_at_s:
            self._survey_at_s = now_s + SURVEY_S
            self._entries = int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
