"""Time series in `control.db`: many named series on common ticks, kept fine for days and coarse for months.

A tick is one row with the values of all series, so that it costs one small write and survives kill -9 once it is
committed. Every CHUNK ticks of a step are transposed into one blob of float32 per series: 4 bytes per point. NaN marks
values that were not known.
"""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from argosy.control.history.arrays import known_means

CHUNK = 240
"""Points in a blob. With the row's key, a blob fills a quarter of a page."""
DAY_S = 86_400
SCHEMA = """
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS ticks (
    step_s INTEGER NOT NULL, bin INTEGER NOT NULL, points BLOB NOT NULL, PRIMARY KEY (step_s, bin)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    step_s INTEGER NOT NULL, first INTEGER NOT NULL, series INTEGER NOT NULL, points BLOB NOT NULL,
    UNIQUE (series, step_s, first)
);
CREATE INDEX IF NOT EXISTS chunks_by_age ON chunks (step_s, first);
"""

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Level:
    """Step of points, the time for which they are kept, and the coarser step that their means are written to."""

    step_s: int
    kept_s: int
    into_s: int | None = None


LEVELS = (Level(5, 7 * DAY_S), Level(15, 3 * DAY_S, 300), Level(300, 90 * DAY_S))
"""Steps that are kept. The step of 5 s is for the series from which the window's peak is learnt."""


class Series:
    """Store of time series. Calls block briefly: one row per tick, and a few hundred when a chunk is full.

    Only one thread may use a store at a time.
    """

    def __init__(self, data_dir: Path, levels: Sequence[Level] = LEVELS) -> None:
        path = data_dir / "control.db"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._levels = {level.step_s: level for level in levels}
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
            self._ids: dict[str, int] = dict(self._db.execute("SELECT name, id FROM series"))
        except sqlite3.Error:
            self._db.close()
            raise

    @classmethod
    def reading(cls, data_dir: Path) -> Series:
        """Open the store read-only, beside the controller that owns the file.

        Raises: sqlite3.Error when the file cannot be opened or holds no series.
        """
        series = cls.__new__(cls)
        series._levels = {}
        series._db = read_only(data_dir)
        try:
            series._ids = dict(series._db.execute("SELECT name, id FROM series"))
        except sqlite3.Error:
            series._db.close()
            raise
        return series

    def record(self, step_s: int, bin_number: int, values: Mapping[str, float]) -> None:
        """Record the values of a tick that is over; `bin_number` is wall time ÷ step.

        When a tick is recorded twice, the first value of each series stays.

        Raises: sqlite3.Error; nothing is recorded then.
        """
        level = self._levels[step_s]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            known = self._tick(step_s, bin_number)
            self._put(step_s, bin_number, {self._id(name): float(v) for name, v in values.items()} | known)
            self._compact(level, bin_number - bin_number % CHUNK)
        except BaseException:
            self._db.execute("ROLLBACK")
            self._ids = dict(self._db.execute("SELECT name, id FROM series"))
            raise
        self._db.execute("COMMIT")

    def read(self, name: str, step_s: int, first: int, last: int) -> Values:
        """Return the points of bins `first` to `last`, both included; NaN where a point is not known."""
        found: Values = np.full(max(0, last - first + 1), np.nan, np.float32)
        number = self._ids.get(name)
        if number is None or not found.size:
            return found
        chunks = self._db.execute(
            "SELECT first, points FROM chunks WHERE series = ? AND step_s = ? AND first BETWEEN ? AND ?",
            (number, step_s, first - CHUNK + 1, last),
        )
        for start, blob in chunks:
            points = np.frombuffer(blob, np.float32)
            low, high = max(first, start), min(last + 1, start + CHUNK)
            found[low - first : high - first] = points[low - start : high - start]
        for at, blob in self._db.execute(
            "SELECT bin, points FROM ticks WHERE step_s = ? AND bin BETWEEN ? AND ?", (step_s, first, last)
        ):
            found[at - first] = _unpack(blob).get(number, found[at - first])
        return found

    def names(self) -> list[str]:
        """Return the names of all series."""
        return list(self._ids)

    def close(self) -> None:
        self._db.close()

    def _compact(self, level: Level, before: int) -> None:
        """Transpose the ticks before that bin into chunks and delete expired points.

        The means of the ticks are written to the coarser step.
        """
        step_s = level.step_s
        rows = self._db.execute(
            "SELECT bin, points FROM ticks WHERE step_s = ? AND bin < ? ORDER BY bin", (step_s, before)
        ).fetchall()
        starts: dict[int, list[tuple[int, dict[int, float]]]] = {}
        for at, blob in rows:
            starts.setdefault(at - at % CHUNK, []).append((at, _unpack(blob)))
        for start, ticks in starts.items():
            self._store_chunks(level, start, ticks)
        if not starts:
            return
        self._db.execute("DELETE FROM ticks WHERE step_s = ? AND bin < ?", (step_s, before))
        oldest = before - level.kept_s // step_s - CHUNK
        self._db.execute("DELETE FROM chunks WHERE step_s = ? AND first < ?", (step_s, oldest))

    def _store_chunks(self, level: Level, start: int, ticks: Sequence[tuple[int, Mapping[int, float]]]) -> None:
        ids = sorted({number for _, points in ticks for number in points})
        column = {number: i for i, number in enumerate(ids)}
        table = np.full((len(ids), CHUNK), np.nan, np.float32)
        for number, blob in self._db.execute(
            "SELECT series, points FROM chunks WHERE step_s = ? AND first = ?", (level.step_s, start)
        ):
            if number in column:
                table[column[number]] = np.frombuffer(blob, np.float32)
        for at, points in ticks:
            for number, value in points.items():
                table[column[number], at - start] = value
        self._db.executemany(
            "INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?)",
            [(level.step_s, start, number, table[i].tobytes()) for i, number in enumerate(ids)],
        )
        if level.into_s is None:
            return
        each = level.into_s // level.step_s
        for offset in range(0, CHUNK, each):
            means = known_means(table[:, offset : offset + each]).tolist()
            known = {number: mean for number, mean in zip(ids, means, strict=True) if math.isfinite(mean)}
            if known:
                coarse = (start + offset) // each
                self._put(level.into_s, coarse, known | self._tick(level.into_s, coarse))
        self._compact(self._levels[level.into_s], (start + CHUNK) // each // CHUNK * CHUNK)

    def _tick(self, step_s: int, bin_number: int) -> dict[int, float]:
        row = self._db.execute("SELECT points FROM ticks WHERE step_s = ? AND bin = ?", (step_s, bin_number)).fetchone()
        return {} if row is None else _unpack(row[0])

    def _put(self, step_s: int, bin_number: int, points: Mapping[int, float]) -> None:
        self._db.execute("INSERT OR REPLACE INTO ticks VALUES (?, ?, ?)", (step_s, bin_number, _pack(points)))

    def _id(self, name: str) -> int:
        number = self._ids.get(name)
        if number is None:
            row = self._db.execute("INSERT INTO series (name) VALUES (?) RETURNING id", (name,)).fetchone()
            number = self._ids[name] = int(row[0])
        return number


def read_only(data_dir: Path) -> sqlite3.Connection:
    """Open the controller's database read-only, beside the controller.

    Raises: sqlite3.Error when the file cannot be opened.
    """
    return sqlite3.connect(f"{(data_dir / 'control.db').absolute().as_uri()}?mode=ro", uri=True)


_POINTS = msgspec.msgpack.Decoder(dict[int, float])


def _pack(points: Mapping[int, float]) -> bytes:
    return msgspec.msgpack.encode({key: value for key, value in points.items() if math.isfinite(value)})


def _unpack(blob: bytes) -> dict[int, float]:
    return _POINTS.decode(blob)
