"""A thread detects a blocked event loop, and does not report a loop whose process was stopped for a while."""

from __future__ import annotations

import asyncio
import threading

import pytest

from argosy.control.supervision.loop_watch import EXIT_BLOCKED, Beats, BlockRule, LoopBlocked, LoopWatch

pytestmark = pytest.mark.unit


def test_looks_without_a_beat_warn_once_and_then_end() -> None:
    beats = Beats(BlockRule(warn_after=3, end_after=6))
    assert [beats.look() for _ in range(6)] == ["", "", "blocked", "", "", "lost"]
    assert beats.beat() == 6
    assert beats.beat() == 0


def test_a_beat_between_looks_is_calm() -> None:
    beats = Beats(BlockRule(warn_after=3, end_after=6))
    for _ in range(100):
        assert beats.look() == ""
        assert beats.look() == ""
        assert beats.beat() == 0


async def test_a_loop_that_is_blocked_ends_the_process_and_one_that_comes_back_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lost = threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        lost.set()

    watch = LoopWatch(BlockRule(warn_after=2, end_after=4), look_every_s=0.02, end=end)

    def block() -> None:
        assert lost.wait(20)

    asyncio.get_running_loop().call_later(0.03, block)
    with pytest.raises(LoopBlocked, match="blocked for"):
        await asyncio.wait_for(watch.run(), 20)
    assert codes == [EXIT_BLOCKED]
    stacks = [getattr(record, "argosy_fields", {}).get("stack", "") for record in caplog.records]
    assert any("in block" in stack for stack in stacks)
