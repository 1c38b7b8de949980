"""Level 2: one SQLite file, read by one thread and written by another, shared with the other replicas of the host.

A crash may lose the last writes, never make a wrong one readable: every row carries a checksum over its key and all
else. Last use is written with a delay and in coarse steps, so that reading does not write.
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

from argosy.services.embedding.cache.backlog import Backlog, Item, Work
from argosy.services.embedding.cache.file import PAGE_BYTES, CacheFile
from argosy.services.embedding.cache.rows import Precision, Row, decode, encode
from argosy.services.embedding.cache.session import Health, Session, Unavailable
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
    """`read`, `write`, `touch` and `counts` are for the event loop and do not block it; `close` and `flush` block."""

    def __init__(
        self,
        path: Path,
        *,
        limit_bytes: int,
        precision: Precision,
        ttl_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._limit_bytes = limit_bytes
        log_bytes = min(LOG_BYTES, limit_bytes // 4)
        self._pages_limit = max(8, (limit_bytes - log_bytes) // PAGE_BYTES)
        self._precision = precision
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._wall = wall
        self._file = CacheFile(path)
        self._health = Health(monotonic)
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
        """What the file holds of these keys and can be trusted. A disk that does not answer is a miss, soon."""
        if self._late is not None and not self._late.done():
            return {}
        reading = asyncio.get_running_loop().run_in_executor(self._reader, self.read_now, keys)
        done, _ = await asyncio.wait({reading}, timeout=READ_PATIENCE_S)
        if not done:
            self._late = reading
            _log.warning("the disk cache does not answer; going on without it", waited_s=READ_PATIENCE_S)
            return {}
        return reading.result()

    def read_now(self, keys: Sequence[bytes]) -> dict[bytes, Row]:
        """The same, blocking. For one thread at a time."""
        found: dict[bytes, Row] = {}
        if self._health.resting:
            return found
        bad: list[bytes] = []
        try:
            with self._reading.connection() as connection:
                for start in range(0, len(keys), KEYS_PER_QUERY):
                    self._read_some(connection, keys[start : start + KEYS_PER_QUERY], found, bad)
        except Unavailable:
            return {}
        if bad:
            self._backlog.delete(bad)
        return found

    def write(self, items: Sequence[Item]) -> None:
        self._backlog.offer(items)

    def touch(self, key: bytes) -> None:
        """It was used, by whatever level: what level 1 answers from must not be forgotten by level 2."""
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
        """Wait until all that was offered so far is written or dropped. Whether it was in time."""
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
        # Always the same number of parameters: one prepared statement.
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
        timeout_s = 0.0  # the first round opens the file
        while True:
            flush_used = self._monotonic() >= self._use_flush_at_s
            work = self._backlog.take(at_most=ROWS_PER_WRITE, with_used=flush_used, timeout_s=timeout_s)
            timeout_s = TICK_S
            if work is None:
                break
            try:
                self._do(work)
            except Exception:  # the thread must outlive what nobody thought of
                self._dropped += len(work.items)
                _log.exception("a write to the disk cache failed")
            if flush_used and len(work.used) < ROWS_PER_WRITE:
                self._use_flush_at_s = self._monotonic() + USE_FLUSH_S
        self._writing.close()

    def _do(self, work: Work) -> None:
        """Once more after a failure: if the file was damaged, there is a new one now."""
        for _ in range(2):
            if self._health.resting:
                break
            try:
                with self._writing.connection() as connection:
                    self._commit(connection, work)
                    self._keep_bounds(connection)
                    self._survey(connection)
                if work.items or work.deletions:  # an idle round proves nothing about a full disk
                    self._health.resume()
                return
            except Unavailable:
                continue
        self._dropped += len(work.items)

    def _commit(self, connection: sqlite3.Connection, work: Work) -> None:
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
        # A use that lies ahead was written before the clock went back.
        connection.executemany(
            "UPDATE vectors SET used_s = ? WHERE key = ? AND used_s NOT BETWEEN ? AND ?",
            [(now_s, key, now_s - USE_STEP_S, now_s) for key in work.used],
        )
        connection.execute("COMMIT")
        self._entries += len(rows)

    def _keep_bounds(self, connection: sqlite3.Connection) -> None:
        """Evict what was used longest ago until the pages in use fit; give back pages when the file does not."""
        expired_s = self._wall() - self._ttl_s
        if expired_s > 0:
            self._evict(connection, "DELETE FROM vectors WHERE used_s < ?", (int(expired_s),))
        for _ in range(ROUNDS_OF_EVICTION):
            pages = _pragma(connection, "page_count")
            if pages <= self._pages_limit:
                break
            free = _pragma(connection, "freelist_count")
            if pages - free <= self._pages_limit:
                # A script, because `execute` takes one step of it, which gives back one page.
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
        """Count the rows, other replicas' too. Seldom: it reads an index through."""
        now_s = self._monotonic()
        if now_s >= self._survey_at_s:
            self._survey_at_s = now_s + SURVEY_S
            self._entries = int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
