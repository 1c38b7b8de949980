from __future__ import annotations

import stat
from pathlib import Path

import pytest

from argosy.serving import runfile
from argosy.serving.engine_call import EngineCalls, RunningCall, running_call

pytestmark = pytest.mark.unit


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return runfile.record_path(tmp_path, "store-1")


def test_the_mark_is_there_while_the_call_runs_and_at_no_other_time(record: Path) -> None:
    calls = EngineCalls(record, now=lambda: 1000.5)
    assert running_call(record) is None
    with calls.marked("flush"):
        assert running_call(record) == RunningCall("flush", 1000.5)
        assert stat.S_IMODE(runfile.busy_path(record).stat().st_mode) == 0o600
    assert running_call(record) is None
    with pytest.raises(KeyError), calls.marked("update"):
        raise KeyError
    assert list(record.parent.iterdir()) == []


def test_a_call_within_a_marked_one_leaves_the_mark_as_it_is(record: Path) -> None:
    calls = EngineCalls(record, now=iter([1.0, 2.0]).__next__)
    with calls.marked("update"):
        with calls.marked("flush"):
            assert running_call(record) == RunningCall("update", 1.0)
        assert running_call(record) == RunningCall("update", 1.0)


def test_a_mark_that_a_killed_process_left_is_removed_by_the_next_one_and_with_its_run_file(record: Path) -> None:
    for removed_by in (lambda: EngineCalls(record, lambda: 1.0), lambda: runfile.remove(record)):
        runfile.busy_path(record).write_bytes(b'{"call": "flush", "since": 1.0}')
        removed_by()
        assert not runfile.busy_path(record).exists()


def test_a_mark_that_cannot_be_written_does_not_keep_the_call_from_running(tmp_path: Path) -> None:
    calls = EngineCalls(runfile.record_path(tmp_path / "missing", "store-1"), lambda: 1.0)
    ran = False
    with calls.marked("flush"):
        ran = True
    assert ran


def test_a_damaged_mark_says_nothing(record: Path) -> None:
    runfile.busy_path(record).write_bytes(b"{")
    assert running_call(record) is None
