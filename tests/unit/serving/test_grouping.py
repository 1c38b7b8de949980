from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from argosy.contracts.errors import Conflict, InvalidRequest, Unavailable
from argosy.serving.grouping import Grouped

pytestmark = pytest.mark.unit


class Desk:
    """Work function that records its groups and answers each group after it is released."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = asyncio.Semaphore(0)
        self.at_once = self.most_at_once = 0

    async def work(self, items: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(items))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.acquire()
        finally:
            self.at_once -= 1
        return [Conflict("odd") if item < 0 else item * 10 for item in items]

    def let_go(self, groups: int = 1000) -> None:
        for _ in range(groups):
            self.gate.release()


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_a_lone_call_waits_for_nobody_and_callers_that_come_meanwhile_share_the_next_group() -> None:
    desk = Desk()
    grouped = Grouped(desk.work, most=10)
    first = asyncio.create_task(grouped(1))
    await turns()
    assert desk.groups == [[1]]
    others = [asyncio.create_task(grouped(n)) for n in (2, 3, 4)]
    await turns()
    assert desk.groups == [[1]]
    desk.let_go()
    assert await asyncio.gather(first, *others) == [10, 20, 30, 40]
    assert desk.groups == [[1], [2, 3, 4]]


async def test_a_call_that_comes_as_the_last_group_ends_is_not_forgotten() -> None:
    """The task of a leader still counts as running for a moment after its last check for waiting calls."""
    desk = Desk()
    desk.let_go()
    grouped = Grouped(desk.work, most=10)
    async with asyncio.timeout(30):
        for wait in range(20):
            first = asyncio.create_task(grouped(1))
            await turns(wait)
            assert await grouped(2) == 20
            assert await first == 10


async def test_a_group_is_no_larger_than_allowed_and_one_larger_item_goes_alone() -> None:
    desk = Desk()
    desk.let_go()
    grouped = Grouped(desk.work, most=5, size=lambda item: item)
    assert await asyncio.gather(*map(grouped, (2, 3, 1, 9, 4))) == [20, 30, 10, 90, 40]
    assert desk.groups == [[2, 3], [1], [9], [4]]


async def test_full_groups_run_beside_one_that_is_under_way() -> None:
    desk = Desk()
    grouped = Grouped(desk.work, most=2, full_at_once=3)
    calls = [asyncio.create_task(grouped(1))]
    await turns()
    calls += [asyncio.create_task(grouped(n)) for n in (2, 3, 4, 5, 6, 7)]
    await turns()
    assert desk.groups == [[1], [2, 3], [4, 5]]
    desk.let_go()
    await asyncio.gather(*calls)
    assert desk.most_at_once == 3


async def test_one_outcome_that_is_an_error_fails_its_caller_alone() -> None:
    desk = Desk()
    desk.let_go()
    grouped = Grouped(desk.work, most=10)
    good, bad, other = await asyncio.gather(grouped(1), grouped(-1), grouped(2), return_exceptions=True)
    assert (good, other) == (10, 20)
    assert isinstance(bad, Conflict)


async def test_a_group_that_fails_as_a_whole_is_repeated_one_by_one() -> None:
    seen: list[list[int]] = []

    async def work(items: Sequence[int]) -> list[int | Exception]:
        seen.append(list(items))
        if 13 in items:
            raise InvalidRequest("unlucky")
        return list(items)

    grouped = Grouped(work, most=10)
    first, bad, last = await asyncio.gather(grouped(1), grouped(13), grouped(2), return_exceptions=True)
    assert (first, last) == (1, 2)
    assert isinstance(bad, InvalidRequest)
    assert seen == [[1, 13, 2], [1], [13], [2]]


async def test_a_service_that_is_away_is_not_asked_again_for_each_member() -> None:
    asked = 0

    async def work(items: Sequence[int]) -> list[int | Exception]:
        nonlocal asked
        asked += 1
        raise Unavailable("away", retry_after_s=3.0)

    grouped = Grouped(work, most=10)
    errors = await asyncio.gather(*map(grouped, range(5)), return_exceptions=True)
    assert asked == 1
    assert [(type(e), e.retry_after_s) for e in errors if isinstance(e, Unavailable)] == [(Unavailable, 3.0)] * 5
    assert len({id(error) for error in errors}) == 5


async def test_a_caller_that_is_cancelled_leaves_and_its_group_goes_on() -> None:
    desk = Desk()
    grouped = Grouped(desk.work, most=10)
    leader, follower = asyncio.create_task(grouped(1)), asyncio.create_task(grouped(2))
    await turns()
    waiting = asyncio.create_task(grouped(3))
    await turns()
    leader.cancel()
    waiting.cancel()
    await turns()
    desk.let_go()
    assert await follower == 20
    assert await grouped(4) == 40
    assert desk.groups == [[1, 2], [4]]


async def test_stopping_cancels_whoever_still_waits() -> None:
    grouped = Grouped(Desk().work, most=1)
    calls = [asyncio.create_task(grouped(n)) for n in range(3)]
    await turns()
    await grouped.stop()
    assert {type(end) for end in await asyncio.gather(*calls, return_exceptions=True)} == {asyncio.CancelledError}


async def test_a_group_that_lingers_takes_whoever_comes_meanwhile_and_a_full_one_does_not_linger() -> None:
    desk = Desk()
    desk.let_go()
    lingering = Grouped(desk.work, most=2, linger_s=3600)
    first = asyncio.create_task(lingering(1))
    await turns()
    assert list(desk.groups) == []
    await lingering.stop()
    [end] = await asyncio.gather(first, return_exceptions=True)
    assert isinstance(end, asyncio.CancelledError)
    async with asyncio.timeout(30):
        assert list(await asyncio.gather(lingering(2), lingering(3))) == [20, 30]
    assert desk.groups == [[2, 3]]
