"""Blocked replicas, from their own files and from the kernel: the content of the file is not trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from argosy.control.platforms import blocked as module
from argosy.control.platforms.blocked import MOST_NAME_CHARS, Blocked, blocked
from argosy.serving import runfile

pytestmark = pytest.mark.unit

STARTED_AT = 1_000.0


def found(path: Path, content: bytes) -> Blocked | None:
    path.write_bytes(content)
    return blocked(path, os.getpid(), STARTED_AT)


def test_a_call_is_found_with_its_time(tmp_path: Path) -> None:
    assert found(tmp_path / "store-1.busy", b'{"call": "FLUSH", "since": 1012.5}') == Blocked("FLUSH", 1012.5)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[1, 2]",
        b'{"call": "FLUSH"}',
        b'{"call": 7, "since": 1012}',
        b'{"call": "FLUSH", "since": "now"}',
        b'{"call": "FLUSH", "since": 1e400}',
        b'{"call": "FLUSH", "since": 1012' + b" " * 5000 + b"}",
        b'{"call": "FLUSH", "since": 990}',
    ],
    ids=["empty", "torn", "binary", "a list", "no time", "no name", "a word", "infinite", "huge", "of an earlier life"],
)
def test_what_cannot_be_true_is_nothing(tmp_path: Path, content: bytes) -> None:
    assert found(tmp_path / "store-1.busy", content) is None


def test_a_name_is_one_short_line(tmp_path: Path) -> None:
    said = found(tmp_path / "store-1.busy", b'{"call": "A\\nB\\u001b[31m' + b"x" * 500 + b'", "since": 1012}')
    assert said is not None
    assert said.call.startswith("AB[31mx")
    assert len(said.call) == MOST_NAME_CHARS


def test_a_missing_file_and_a_folder_are_nothing(tmp_path: Path) -> None:
    assert blocked(tmp_path / "none.busy", os.getpid(), STARTED_AT) is None
    (tmp_path / "store-1.busy").mkdir()
    assert blocked(tmp_path / "store-1.busy", os.getpid(), STARTED_AT) is None


def test_any_thread_in_uninterruptible_sleep_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"1": "1 (a) b) S 1 1", "2": "2 (D D) D 1 1"}
    for number, stat in states.items():
        (tmp_path / "77" / "task" / number).mkdir(parents=True)
        (tmp_path / "77" / "task" / number / "stat").write_text(stat)
    monkeypatch.setattr(module, "Path", lambda path: tmp_path / str(path).removeprefix("/proc/"))
    assert module.blocked(tmp_path / "none.busy", 77, STARTED_AT) == Blocked(on_disk=True)
    (tmp_path / "77" / "task" / "2" / "stat").write_text("2 (D D) S 1 1")
    assert module.blocked(tmp_path / "none.busy", 77, STARTED_AT) is None
    assert module.blocked(tmp_path / "none.busy", 78, STARTED_AT) is None


def test_the_file_goes_with_the_replica(tmp_path: Path) -> None:
    record = runfile.record_path(tmp_path, "store-1")
    for path in (record, runfile.busy_path(record), runfile.lock_path(record)):
        path.write_text("x")
    other = tmp_path / "store-10.busy"
    other.write_text("x")
    runfile.remove(record)
    assert list(tmp_path.iterdir()) == [other]
