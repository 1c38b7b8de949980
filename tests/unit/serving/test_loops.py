"""Tests of background loops: an error is logged once, the loop is restarted, and the trouble is cleared later."""

from __future__ import annotations

import asyncio

import pytest

from argosy.contracts.errors import StorageFull
from argosy.contracts.fleet import Health
from argosy.serving.loops import LoopRule, Loops
from tests.kits import make_kit
from tests.waiting import until

pytestmark = pytest.mark.unit

QUICK = LoopRule(first_backoff_s=0.001, longest_backoff_s=0.004, well_s=0.02)


class Told:
    def __init__(self) -> None:
        self.changes: list[tuple[str, str, str, str]] = []

    def __call__(self, name: str, before: str, after: str, why: str) -> None:
        self.changes.append((name, before, after, why))


def test_the_pause_grows_with_each_failure_up_to_a_limit() -> None:
    rule = LoopRule(first_backoff_s=1, longest_backoff_s=10)
    assert [rule.backoff_s(n) for n in (1, 2, 3, 4, 5, 10_000)] == [1, 2, 4, 8, 10, 10]


async def test_a_loop_is_begun_again_and_its_trouble_told_once_and_cleared(caplog: pytest.LogCaptureFixture) -> None:
    told, runs = Told(), 0
    loops = Loops(told, QUICK)

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs <= 3:
            raise KeyError("secret")
        await asyncio.Event().wait()

    loops.start("tally", run)
    await until(lambda: runs == 4)
    assert loops.reasons() == ["tally failed 3 times (KeyError)"]
    await until(lambda: not loops.reasons())
    assert told.changes == [
        ("tally", "running", "failing", "tally failed (KeyError)"),
        ("tally", "failing", "running", "no error for 0.02 s"),
    ]
    assert sum(record.exc_info is not None for record in caplog.records) == 1, "one traceback"
    await loops.close()
    assert runs == 4


async def test_an_error_of_ours_is_told_with_its_sentence_and_none_is_left_of_a_listener_that_fails() -> None:
    def broken(name: str, before: str, after: str, why: str) -> None:
        raise RuntimeError

    loops = Loops(broken, QUICK)
    loops.failed("history", StorageFull("The disk is full."))
    assert loops.reasons() == ["history failed (The disk is full.)"]
    await loops.close()


async def test_a_loop_that_fails_too_often_gives_up_with_its_last_error() -> None:
    loops, runs = Loops(rule=QUICK), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        raise ValueError(runs)

    with pytest.raises(ValueError, match="4"):
        await loops.keep("tally", run, most_failures=4)
    assert runs == 4


async def test_closing_ends_loops_that_run_and_loops_that_wait() -> None:
    loops = Loops(rule=LoopRule(first_backoff_s=1000))

    async def failing() -> None:
        raise ValueError

    tasks = [loops.start("failing", failing), loops.start("running", asyncio.Event().wait)]  # type: ignore[arg-type]
    await until(lambda: loops.reasons())
    await loops.close()
    assert all(task.cancelled() for task in tasks)


def test_without_an_event_loop_trouble_is_cleared_by_the_clock() -> None:
    now_s = 0.0
    loops = Loops(rule=LoopRule(first_backoff_s=1, well_s=60), clock=lambda: now_s)
    loops.failed("scaling", ValueError())
    now_s = 60.9
    assert loops.reasons() == ["scaling failed (ValueError)"]
    now_s = 61.0
    assert loops.reasons() == []


async def test_a_replica_whose_background_work_fails_is_degraded_with_the_reason() -> None:
    kit = make_kit()
    kit.readiness.engine_loaded, kit.readiness.endpoints_version = True, "1.1"
    kit.degraded = lambda: "one collection is broken"
    assert kit.status().health is Health.DEGRADED
    kit.loops.failed("upkeep", ValueError())
    assert kit.status().reason == "one collection is broken; upkeep failed (ValueError)"
    kit.degraded = str
    assert (kit.status().health, kit.status().reason) == (Health.DEGRADED, "upkeep failed (ValueError)")
    await kit.loops.close()
