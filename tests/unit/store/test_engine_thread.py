from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from argosy.services.store.engine_thread import IN_A_ROW, EngineThread

pytestmark = pytest.mark.unit


async def queued(searches: int, updates: int) -> list[str]:
    """Queue searches and updates behind a blocked call. Returns: the order in which they ran."""
    thread, gate, ran = EngineThread("test"), threading.Event(), list[str]()
    first = asyncio.create_task(thread.run(gate.wait))
    await asyncio.sleep(0)
    calls = [asyncio.create_task(thread.run(partial(ran.append, f"u{n}"))) for n in range(updates)]
    calls += [asyncio.create_task(thread.run(partial(ran.append, f"s{n}"), urgent=True)) for n in range(searches)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *calls)
    thread.close()
    return ran


async def test_searches_overtake_updates_and_each_kind_keeps_its_order() -> None:
    assert await queued(3, 3) == ["s0", "s1", "s2", "u0", "u1", "u2"]


async def test_an_update_has_its_turn_however_many_searches_come() -> None:
    ran = await queued(3 * IN_A_ROW, 2)
    assert ran.index("u0") == IN_A_ROW
    assert ran.index("u1") == 2 * IN_A_ROW + 1


async def test_an_error_reaches_its_caller_and_a_cancelled_call_is_left_out() -> None:
    thread, gate, ran = EngineThread("test"), threading.Event(), list[str]()

    def fail() -> None:
        raise KeyError("no")

    first = asyncio.create_task(thread.run(gate.wait))
    await asyncio.sleep(0)
    failing, left = asyncio.create_task(thread.run(fail)), asyncio.create_task(thread.run(lambda: ran.append("left")))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(KeyError):
        await failing
    await first
    assert await thread.run(lambda: 7) == 7
    assert ran == []
    thread.close()


async def test_only_urgent_calls_run_in_an_urgent_block_and_the_others_follow_in_order() -> None:
    thread = EngineThread("test")
    ran: list[str] = []
    async with thread.only_urgent():
        waiting = [asyncio.create_task(thread.run(partial(ran.append, name))) for name in "abc"]
        await thread.run(lambda: ran.append("urgent"), urgent=True)
        for _ in range(2 * IN_A_ROW):
            await thread.run(lambda: None, urgent=True)
        assert ran == ["urgent"]
        assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    assert ran == ["urgent", "a", "b", "c"]
    thread.close()


async def test_an_urgent_block_that_fails_lets_the_others_run() -> None:
    thread = EngineThread("test")

    async def fail() -> None:
        async with thread.only_urgent():
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        await fail()
    assert await thread.run(lambda: 1) == 1
    thread.close()


async def test_an_urgent_block_whose_end_is_cancelled_lets_the_others_run() -> None:
    thread, gate = EngineThread("test"), threading.Event()

    async def block() -> None:
        async with thread.only_urgent():
            searching.append(asyncio.create_task(thread.run(gate.wait, urgent=True)))
            await asyncio.sleep(0)  # the search is in the thread, so that the end of the block waits behind it

    searching: list[asyncio.Task[bool]] = []
    ending = asyncio.create_task(block())
    while not searching:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    gate.set()
    await asyncio.gather(*searching)
    async with asyncio.timeout(5):
        assert await thread.run(lambda: 7) == 7
    thread.close()


async def test_an_urgent_block_cancelled_at_its_beginning_lets_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    thread, begun, gate = EngineThread("test"), threading.Event(), threading.Event()
    pause = thread._pause

    def slow_pause() -> None:
        begun.set()
        assert gate.wait(10)
        pause()

    monkeypatch.setattr(thread, "_pause", slow_pause)

    async def block() -> None:
        async with thread.only_urgent():
            raise AssertionError("the block is not reached")

    beginning = asyncio.create_task(block())
    await asyncio.to_thread(begun.wait)
    beginning.cancel()
    await asyncio.gather(beginning, return_exceptions=True)
    gate.set()
    async with asyncio.timeout(5):
        assert await thread.run(lambda: 7) == 7
    thread.close()
