"""The limit on the text being processed."""

from __future__ import annotations

import asyncio

import pytest

from argosy.services.documents.jobs.memory_budget import MemoryBudget

pytestmark = pytest.mark.unit


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_that_fit_are_in_together_and_the_others_wait_their_turn() -> None:
    room, inside, leave = MemoryBudget(10), [], {name: asyncio.Event() for name in "abcd"}

    async def work(name: str, size: int) -> None:
        async with room.held(size):
            inside.append(name)
            await leave[name].wait()
        inside.remove(name)

    sizes = {"a": 6, "b": 4, "c": 100, "d": 1}
    tasks = [asyncio.create_task(work(name, size)) for name, size in sizes.items()]
    await settle()
    assert inside == ["a", "b"]
    leave["b"].set()
    await settle()
    assert inside == ["a"], "the small one does not overtake the large one, which would wait for ever"
    leave["a"].set()
    await settle()
    assert inside == ["c"], "what is larger than the room gets in alone"
    leave["c"].set()
    await settle()
    assert inside == ["d"]
    leave["d"].set()
    await asyncio.gather(*tasks)


async def test_one_that_gives_up_waiting_keeps_nothing() -> None:
    room = MemoryBudget(1)
    async with room.held(1):
        waiting = asyncio.create_task(room.held(1).__aenter__())
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
    next_one = asyncio.create_task(room.held(1).__aenter__())
    await settle()
    assert next_one.done()
