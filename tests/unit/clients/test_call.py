"""Tests of hedged reads in every order of events: each ends once, and no request stays counted as in flight."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.balancing.balancer import Balancer
from argosy.balancing.candidate import Candidate
from argosy.balancing.lease import Lease
from argosy.balancing.retry_budget import RetryBudget
from argosy.clients.call import CallAttempts, Plan
from argosy.clients.call_guard import CallGuard
from argosy.clients.hedge_copies import Losers
from argosy.config.protection import ProtectionSettings
from argosy.contracts.errors import ArgosyError, Conflict, Internal, Overloaded, Unavailable
from argosy.contracts.fleet import Endpoint
from argosy.contracts.request import Deadline, Priority, RequestContext

pytestmark = pytest.mark.unit
FAILURES = (Internal("broken"), Conflict("taken"), Overloaded("full"), aiohttp.ClientPayloadError())
Step = tuple[int, Exception | str]
"""Index of an attempt in the order of sending, and its outcome."""
steps = st.lists(st.tuples(st.integers(0, 2), st.one_of(st.sampled_from(FAILURES), st.just("answer"))), max_size=4)


class Fleet:
    """Replicas of one service that answer on command. The strategy alone would send all copies of a read to one."""

    def __init__(self, replicas: int, reserve_per_s: float = 10.0) -> None:
        self.balancer = Balancer("store", "consistent_hash", clock=lambda: 0.0)
        self.balancer.update([Endpoint(f"s{n}", f"http://s{n}") for n in range(replicas)])
        self.guard = CallGuard("store", ProtectionSettings(), budget=RetryBudget(0.0, reserve_per_s))
        self.losers = Losers()
        self.sent: list[tuple[str, asyncio.Future[str]]] = []
        for _ in range(20):
            self.guard.delay.note(0.0)

    async def once(self, lease: Lease, context: RequestContext, stack: contextlib.AsyncExitStack) -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.sent.append((lease.endpoint.id, answer))
        return await answer

    async def call(
        self, priority: Priority = Priority.INTERACTIVE, timeout_s: float = 60.0, *, patient: bool = False
    ) -> str:
        context = RequestContext("r", Deadline.after(timeout_s), priority)
        async with contextlib.AsyncExitStack() as stack:
            plan = Plan("store", context, patient=patient, hedged=not patient, key="a text")
            return await CallAttempts(
                plan, self.once, stack, self.balancer, self.guard, self.losers, lambda: 0.0
            ).make()

    async def until_sent(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.sent) < count:
                await asyncio.sleep(0)

    @property
    def in_flight(self) -> int:
        return sum(candidate.in_flight for candidate in self.balancer.candidates)


async def rest() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def play(replicas: int, hedged: bool, script: deque[Step]) -> None:
    fleet = Fleet(replicas)
    call = asyncio.create_task(fleet.call())
    await fleet.until_sent(2 if hedged and replicas > 1 else 1)
    for number, then in script:
        if number < len(fleet.sent) and not fleet.sent[number][1].done():
            answer = fleet.sent[number][1]
            if isinstance(then, str):
                answer.set_result(then)
            else:
                answer.set_exception(then)
        await rest()
    call.cancel()
    ended = (await asyncio.gather(call, return_exceptions=True))[0]
    assert isinstance(ended, str | ArgosyError | asyncio.CancelledError)
    await fleet.losers.drop()
    assert fleet.in_flight == fleet.guard.in_work == 0
    assert len({replica for replica, _ in fleet.sent[:2]}) == min(len(fleet.sent), 2, replicas)
    assert all(answer.done() for _, answer in fleet.sent)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.booleans(), steps)
def test_whatever_happens_to_a_hedged_read_nothing_stays_in_flight(
    replicas: int, hedged: bool, script: list[Step]
) -> None:
    asyncio.run(play(replicas, hedged, deque(script)))


async def test_the_last_attempt_of_a_wait_does_not_hide_what_was_waited_for() -> None:
    fleet = Fleet(1)
    call = asyncio.create_task(fleet.call(timeout_s=1.0, patient=True))
    for number in range(2):
        await fleet.until_sent(number + 1)
        fleet.sent[number][1].set_exception(aiohttp.ClientPayloadError())
    await fleet.until_sent(3)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await call


async def beaten(fleet: Fleet) -> Candidate:
    """Run a read whose hedge wins, and return the replica of the losing copy."""
    call = asyncio.create_task(fleet.call())
    await fleet.until_sent(2)
    fleet.sent[1][1].set_result("second")
    assert await call == "second"
    assert (fleet.guard.hedges_sent, fleet.guard.hedges_won) == (1, 1)
    return next(candidate for candidate in fleet.balancer.candidates if candidate.id == fleet.sent[0][0])


async def test_a_replica_that_lost_stays_in_flight_until_it_answers_too() -> None:
    fleet = Fleet(2)
    loser = await beaten(fleet)
    assert (loser.in_flight, loser.ended) == (1, 0), "one that is silent must not look idle"
    fleet.sent[0][1].set_result("first")
    await rest()
    assert (loser.in_flight, loser.ended, loser.failed) == (0, 1, 0), "being slow is no failure"


@pytest.mark.parametrize("error", [Internal("broken"), aiohttp.ClientPayloadError()])
async def test_one_that_fails_after_it_lost_has_failed(error: Exception) -> None:
    fleet = Fleet(2)
    loser = await beaten(fleet)
    fleet.sent[0][1].set_exception(error)
    await rest()
    assert (loser.in_flight, loser.ended, loser.failed) == (0, 1, 1)


async def test_one_that_lost_and_never_answers_has_failed() -> None:
    fleet = Fleet(2)
    fleet.losers = Losers(least_patience_s=0.0)
    loser = await beaten(fleet)
    async with asyncio.timeout(10):
        await asyncio.wait({fleet.sent[0][1]})
    assert fleet.sent[0][1].cancelled()
    assert (loser.in_flight, loser.ended, loser.failed) == (0, 1, 1)


async def test_an_answer_that_another_replica_would_give_too_is_not_waited_for() -> None:
    fleet = Fleet(2)
    call = asyncio.create_task(fleet.call())
    await fleet.until_sent(2)
    fleet.sent[0][1].set_exception(Conflict("taken"))
    with pytest.raises(Conflict):
        await call
    await fleet.losers.drop()
    assert fleet.in_flight == 0


async def test_a_replica_that_breaks_off_as_the_time_ends_is_named_and_not_the_deadline() -> None:
    fleet, now = Fleet(1), [0.0]
    context = RequestContext("r", Deadline.after(60.0, lambda: now[0]))
    async with contextlib.AsyncExitStack() as stack:
        plan = Plan("store", context, patient=True)
        attempts = CallAttempts(plan, fleet.once, stack, fleet.balancer, fleet.guard, fleet.losers, lambda: now[0])
        call = asyncio.create_task(attempts.make())
        await fleet.until_sent(1)
        now[0] = 61.0
        fleet.sent[0][1].set_exception(aiohttp.ClientPayloadError())
        with pytest.raises(Unavailable, match="store service cannot be reached"):
            await call


@pytest.mark.parametrize("winner", [0, 1])
async def test_of_a_hedged_stream_the_winners_answer_stays_open_and_the_losers_is_closed(winner: int) -> None:
    fleet, closed = Fleet(2), list[str]()
    plan = Plan("store", RequestContext("r", Deadline.after(60.0)), hedged=True)

    async def once(lease: Lease, context: RequestContext, stack: contextlib.AsyncExitStack) -> str:
        stack.callback(closed.append, lease.endpoint.id)
        return await fleet.once(lease, context, stack)

    async with contextlib.AsyncExitStack() as stack:
        made = CallAttempts(plan, once, stack, fleet.balancer, fleet.guard, fleet.losers, lambda: 0.0).make()
        call = asyncio.create_task(made)
        await fleet.until_sent(2)
        fleet.sent[winner][1].set_result("begins")
        assert await call == "begins"
        won = fleet.sent[winner][0]
        assert won not in closed
        assert next(c for c in fleet.balancer.candidates if c.id == won).in_flight == 1
    await fleet.losers.drop()
    assert sorted(closed) == ["s0", "s1"]
    assert fleet.in_flight == 0


async def test_a_hedge_is_paid_for_by_the_retry_budget() -> None:
    fleet = Fleet(2, reserve_per_s=0.0)
    call = asyncio.create_task(fleet.call())
    async with asyncio.timeout(10):
        while not fleet.guard.retries_refused:
            await asyncio.sleep(0)
    fleet.sent[0][1].set_result("first")
    assert await call == "first"
    assert len(fleet.sent) == 1


async def test_bulk_work_is_not_hedged() -> None:
    bulk, query = Fleet(2), Fleet(2)
    calls = [asyncio.create_task(bulk.call(Priority.BULK)), asyncio.create_task(query.call())]
    await query.until_sent(2)  # the bulk call began earlier, so its hedge would have been sent by now
    for fleet in (bulk, query):
        fleet.sent[0][1].set_result("first")
    assert await asyncio.gather(*calls) == ["first", "first"]
    assert (len(bulk.sent), len(query.sent)) == (1, 2)
