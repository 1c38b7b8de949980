"""Tests of the lock by which a backup holds work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from argosy.contracts.errors import Conflict
from argosy.serving.hold import Hold, Work

pytestmark = pytest.mark.unit


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Hold]:
    with closing(Hold(tmp_path, Work.CHANGES)) as hold:
        yield hold


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[Hold]:
    with closing(Hold(tmp_path, Work.CHANGES)) as hold:
        yield hold


def test_work_in_progress_ends_before_the_hold_begins_and_no_new_work_begins(worker: Hold, backup: Hold) -> None:
    assert worker.enter()
    held = threading.Event()
    may_end = threading.Event()

    def take() -> None:
        with backup.taken(30.0):
            held.set()
            assert may_end.wait(30)

    taking = threading.Thread(target=take)
    taking.start()
    while worker.enter():  # until the door is locked
        worker.leave()
    assert not held.is_set(), "a piece of work is in progress"
    worker.leave()
    assert held.wait(30)
    assert not worker.enter()
    may_end.set()
    taking.join()
    assert worker.enter()
    worker.leave()


def test_several_pieces_of_work_are_done_at_the_same_time(worker: Hold, tmp_path: Path) -> None:
    with closing(Hold(tmp_path, Work.CHANGES)) as other, worker.attempted() as first, other.attempted() as second:
        assert (first, second, worker.enter()) == (True, True, True)
        worker.leave()
    with closing(Hold(tmp_path, Work.CHANGES)) as backup, backup.taken(0.0):
        assert not worker.enter()


def test_kinds_of_work_are_held_apart(worker: Hold, tmp_path: Path) -> None:
    with closing(Hold(tmp_path, Work.REMOVALS)) as removals, removals.taken(0.0):
        assert worker.enter()
        worker.leave()


def test_work_that_does_not_end_is_an_error_and_leaves_no_hold(worker: Hold, backup: Hold) -> None:
    assert worker.enter()
    with pytest.raises(Conflict, match="try again"), backup.taken(0.0):
        pytest.fail("the work is in progress")
    assert worker.enter(), "the door is open again"


async def test_a_piece_of_work_waits_for_the_end_of_the_hold(worker: Hold, backup: Hold) -> None:
    done: list[int] = []

    async def work() -> None:
        async with worker.shared():
            done.append(1)

    with backup.taken(0.0):
        working = asyncio.create_task(work())
        for _ in range(5):
            await asyncio.sleep(0)
        assert done == []
    await working
    assert done == [1]
