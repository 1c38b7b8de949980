"""The order in which senders get parsing places, and the document that gives way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from argosy.services.documents.jobs.parse_turns import GaveWay, ParsePlace, ParseTurns

pytestmark = pytest.mark.unit


async def nobody() -> bool:
    return False


async def somebody() -> bool:
    return True


@contextlib.asynccontextmanager
async def held(reading: ParseTurns, sender: str) -> AsyncIterator[ParsePlace]:
    async with asyncio.timeout(10), reading.place(sender) as place:
        yield place


async def test_the_sender_who_holds_the_fewest_places_is_next() -> None:
    reading, order = ParseTurns(2, 1.0), []
    gates = {name: asyncio.Event() for name in ("a1", "a2", "a3", "a4", "b1")}

    async def read(name: str) -> None:
        async with held(reading, name[0]):
            order.append(name)
            await gates[name].wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for name in gates:
            group.create_task(read(name))
            await asyncio.sleep(0)
        assert order == ["a1", "a2"]
        for name in ("a1", "b1", "a2", "a3", "a4"):
            gates[name].set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    assert order == ["a1", "a2", "b1", "a3", "a4"]


async def test_one_who_is_cancelled_while_it_waits_leaves_its_turn_to_others() -> None:
    reading = ParseTurns(1, 1.0)
    async with held(reading, "a"):
        waiting = [asyncio.create_task(reading.place(sender).__aenter__()) for sender in ("b", "b", "c")]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[1].cancel()
    await asyncio.gather(*waiting[:2], return_exceptions=True)
    assert isinstance(await asyncio.wait_for(waiting[2], 10), ParsePlace)
    assert not reading.another_waits("x")


async def test_long_work_goes_on_while_nobody_else_waits() -> None:
    reading = ParseTurns(1, 0.001)
    async with held(reading, "a") as place:
        assert await place.run(asyncio.sleep(0.02, "done"), nobody) == "done"
        assert not place.in_overtime


async def test_long_work_moves_out_of_the_way_and_goes_on() -> None:
    reading = ParseTurns(1, 0.001)
    gate = asyncio.Event()
    async with held(reading, "a") as place:
        long = asyncio.create_task(place.run(gate.wait(), nobody))
        async with held(reading, "b"):  # "b" waits, so the other document moves
            assert place.in_overtime
        gate.set()
        assert await long


async def test_of_two_that_take_long_one_gives_way_and_is_cancelled() -> None:
    reading = ParseTurns(2, 0.001)
    async with held(reading, "a") as first, held(reading, "a") as second:
        going_on = asyncio.create_task(first.run(asyncio.Event().wait(), somebody))
        while not first.in_overtime:
            await asyncio.sleep(0)
        hanging = asyncio.ensure_future(asyncio.Event().wait())
        with pytest.raises(GaveWay):
            await second.run(hanging, somebody)
        assert hanging.cancelled()
        going_on.cancel()
    async with held(reading, "a"), held(reading, "b") as place:  # all places are free again
        assert reading.take_overtime("b")
        place.in_overtime = True
