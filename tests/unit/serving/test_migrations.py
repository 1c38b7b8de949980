"""Steps of a stored format: applied once, in order, all or none; a newer file is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from argosy.contracts.errors import Internal
from argosy.serving.migrations import SqliteStep, add_missing_columns, due, migrate, version_of

pytestmark = pytest.mark.unit

ONE, TWO = "CREATE TABLE a (x INTEGER);", "ALTER TABLE a ADD COLUMN y INTEGER; INSERT INTO a VALUES (1, 2)"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as opened:
        yield opened


def rows(db: sqlite3.Connection) -> list[tuple[int, ...]]:
    return db.execute("SELECT * FROM a").fetchall()


def test_a_new_file_gets_all_steps_and_each_only_once(db: sqlite3.Connection) -> None:
    for _ in range(2):
        migrate(db, {1: ONE, 2: TWO}, "a.db")
        assert (version_of(db), rows(db)) == (2, [(1, 2)])


def test_an_older_file_gets_only_what_it_lacks(db: sqlite3.Connection) -> None:
    migrate(db, {1: ONE}, "a.db")
    db.execute("INSERT INTO a VALUES (7)")
    migrate(db, {1: ONE, 2: TWO}, "a.db")
    assert rows(db) == [(7, None), (1, 2)]


def test_steps_that_cannot_be_finished_change_nothing(db: sqlite3.Connection) -> None:
    migrate(db, {1: ONE}, "a.db")

    def failing(db: sqlite3.Connection) -> None:
        raise OSError

    steps: dict[int, SqliteStep] = {1: ONE, 2: TWO, 3: failing}
    with pytest.raises(OSError):  # noqa: PT011 - it has no text
        migrate(db, steps, "a.db")
    assert (version_of(db), rows(db), db.in_transaction) == (1, [], False)
    migrate(db, {1: ONE, 2: TWO}, "a.db")
    assert rows(db) == [(1, 2)]


def test_a_file_of_a_newer_release_is_refused_as_it_is(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA user_version = 9")
    with pytest.raises(Internal, match=r"a\.db was written by a newer release of Argosy: its format is 9"):
        migrate(db, {1: ONE, 2: TWO}, "a.db")
    assert db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


def test_a_file_that_needs_nothing_is_not_written(db: sqlite3.Connection) -> None:
    migrate(db, {1: ONE}, "a.db")
    db.execute("PRAGMA query_only = ON")
    migrate(db, {1: ONE}, "a.db")
    assert due({1: "one", 2: "two", 4: "four"}, 1, "a.db") == ["two", "four"]


def test_only_columns_that_are_missing_are_added(db: sqlite3.Connection) -> None:
    db.execute(ONE)
    for _ in range(2):
        add_missing_columns(db, "a", {"x": "INTEGER", "z": "TEXT NOT NULL DEFAULT ''"})
    assert [row[1] for row in db.execute("PRAGMA table_info(a)")] == ["x", "z"]
