"""History on a full, locked or damaged disk: no call waits for the disk, and no data is lost up to the bound."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.contracts.errors import StartError
from argosy.control import main
from argosy.control.events.feed import Feed
from argosy.control.history.history import History, set_aside
from argosy.control.history.unwritten import MAX_EVENTS, Unwritten
from argosy.control.preflight import explained

pytestmark = pytest.mark.unit


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Make writes of the history fail while there is an error in the list."""
    errors: list[Exception] = []
    write: Callable[..., None] = History._write

    def failing(self: History, *rows: Any) -> None:
        if errors:
            raise errors[0]
        write(self, *rows)

    monkeypatch.setattr(History, "_write", failing)
    return errors


def subjects(feed: Feed, since: int = 0) -> list[str]:
    return [event.subject for event in feed.page(since, 100).events]


def test_events_that_cannot_be_written_are_shown_and_written_later(tmp_path: Path, refusing: list[Exception]) -> None:
    refusing.append(sqlite3.OperationalError("database or disk is full"))
    history = History(tmp_path)
    feed = Feed(history)
    feed.add("replica", "echo-1", "ready", "ended", "killed")
    feed.add("replica", "echo-2", "ready", "ended", "killed")
    history.remember("scaling/echo", 1.0, b"learnt")
    assert subjects(feed) == ["echo-1", "echo-2"]
    assert history.recall("scaling/echo") == (1.0, b"learnt")
    refusing.clear()
    history.close()
    history = History(tmp_path)
    feed = Feed(history)
    assert subjects(feed) == ["echo-1", "echo-2"]
    assert history.recall("scaling/echo") == (1.0, b"learnt")
    feed.add("replica", "echo-1", "ended", "starting", "again")
    assert [event.seq for event in feed.page(0, 2).events] == [1, 2]
    assert [event.seq for event in feed.page(2, 2).events] == [3]
    history.close()


def test_a_locked_file_holds_up_nobody_who_adds_an_event(tmp_path: Path) -> None:
    history = History(tmp_path)
    other = sqlite3.connect(tmp_path / "control.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    feed, done = Feed(history), threading.Event()

    def add() -> None:
        for _ in range(100):
            feed.add("replica", "echo-1", "ready", "ended")
        done.set()

    threading.Thread(target=add, daemon=True).start()
    assert done.wait(0.4), "one write that waits for the lock takes longer than that"
    assert len(subjects(feed)) == 100
    other.execute("ROLLBACK")
    other.close()
    history.close()
    again = History(tmp_path)
    assert again.last_seq() == 100
    again.close()


def test_unwritten_events_are_bounded_and_the_newest_are_kept(tmp_path: Path) -> None:
    blocked = threading.Event()

    def write(*rows: object) -> None:
        blocked.wait(10)
        raise OSError("no disk")

    history = History(tmp_path)
    unwritten = Unwritten(write, retry_s=0.001)
    history._unwritten = unwritten
    feed = Feed(history)
    for _ in range(MAX_EVENTS + 10):
        feed.add("replica", "echo-1", "ready", "ended")
    assert next(event.seq for event in unwritten.events()) == 11
    assert len(unwritten.events()) == MAX_EVENTS
    blocked.set()
    history.close()
    assert unwritten.problem == "no disk"


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_file_is_put_aside_and_the_controller_starts(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "control.db").write_bytes(content)
    history = main._history(tmp_path)
    assert history.next_epoch(1_000.0) == 1_000
    history.close()
    (kept,) = tmp_path.glob("control.db.damaged-*")
    assert kept.read_bytes() == content


def test_a_file_that_is_only_locked_is_left_where_it_is(tmp_path: Path) -> None:
    History(tmp_path).close()
    other = sqlite3.connect(tmp_path / "control.db", isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StartError, match=r"control\.db is in use by another program"), explained(tmp_path):
        main._history(tmp_path)
    other.close()
    assert not list(tmp_path.glob("*damaged*"))


def test_the_log_of_a_damaged_file_goes_along(tmp_path: Path) -> None:
    for name in ("control.db", "control.db-wal"):
        (tmp_path / name).write_bytes(b"x")
    set_aside(tmp_path, 7.9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["control.db.damaged-7", "control.db.damaged-7-wal"]
