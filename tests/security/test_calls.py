"""A call that is cancelled at any moment releases everything: leases, guard counts, tasks, connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from typing import Generic, TypeVar

import aiohttp
import pytest

from argosy.balancing.balancer import Balancer
from argosy.balancing.lease import Lease
from argosy.balancing.retry_budget import RetryBudget
from argosy.clients.call import CallAttempts, Plan
from argosy.clients.call_guard import CallGuard
from argosy.clients.directory import Directory
from argosy.clients.exchange import RawResponse, _kind
from argosy.clients.hedge_copies import Losers
from argosy.clients.transport import Transport
from argosy.config.models import Services
from argosy.config.protection import ProtectionSettings
from argosy.contracts.errors import ArgosyError, CallerGone, Conflict, Internal, InvalidRequest, Overloaded, TooLarge
from argosy.contracts.fleet import Endpoint, EndpointSet
from argosy.contracts.request import Deadline, Priority, RequestContext
from argosy.services.gateway.batches import follow
from tests.kits import TOKEN, context
from tests.security.wire import Asked, RawService, listening

pytestmark = pytest.mark.security

T = TypeVar("T")
MOST_STEPS = 200
Behaviour = Sequence[Exception | str]
"""Outcomes of the copies of a call, in the order in which they are sent."""

WAYS: dict[str, tuple[bool, Behaviour, Sequence[int]]] = {
    "plain, answered": (False, ["a"], [0]),
    "plain, failed then answered": (False, [Internal("broken"), "b"], [0, 0]),
    "plain, both failed": (False, [aiohttp.ClientPayloadError(), Overloaded("full")], [0, 0]),
    "hedged, the first wins": (True, ["a", "b"], [3, 9]),
    "hedged, the second wins": (True, ["a", "b"], [9, 1]),
    "hedged, both at once": (True, ["a", "b"], [3, 0]),
    "hedged, the first fails and the second wins": (True, [Internal("broken"), "b"], [2, 6]),
    "hedged, the second fails and the first wins": (True, ["a", aiohttp.ClientPayloadError()], [9, 1]),
    "hedged, both fail": (True, [aiohttp.ClientPayloadError(), Internal("broken")], [4, 2]),
    "hedged, the caller is wrong": (True, [Conflict("taken"), "b"], [3, 9]),
    "hedged, refused for want of room": (True, [Overloaded("full"), Overloaded("full")], [3, 3]),
}
"""Cases by name: whether hedged, how the copies end, and after how many turns of the loop."""


class Interrupted(Generic[T]):
    """Awaitable that awaits another one and cancels its own task at the given suspensions, counted from 1."""

    def __init__(self, work: Awaitable[T], at: Sequence[int]) -> None:
        self._work = work
        self._at = at
        self.suspensions = 0

    def __await__(self) -> Generator[object, object, T]:
        steps = self._work.__await__()
        value: object = None
        thrown: BaseException | None = None
        while True:
            try:
                # The event loop resumes a task's awaitable with None or with an error.
                awaited = steps.send(value) if thrown is None else steps.throw(thrown)
            except StopIteration as end:
                result: T = end.value
                return result
            self.suspensions += 1
            if self.suspensions in self._at:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            thrown = None
            try:
                value = yield awaited
            except BaseException as error:
                thrown = error


def at_once(guard: CallGuard) -> None:
    """Make the guard send the hedge right after the first copy."""
    guard.delay.after_s = lambda: 0.0  # type: ignore[method-assign]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Fleet:
    """Two replicas of one service. Closing a stream takes a while, and so does ending a cancelled copy."""

    def __init__(self, hedged: bool, ends: Behaviour, after: Sequence[int]) -> None:
        self.balancer = Balancer("store", "consistent_hash", clock=lambda: 0.0)
        self.balancer.update([Endpoint(f"s{n}", f"http://s{n}") for n in range(2)])
        self.guard = CallGuard("store", ProtectionSettings(), budget=RetryBudget(0.0, 10.0))
        self.losers = Losers()
        self.opened = 0
        self._hedged = hedged
        self._ends = list(zip(ends, after, strict=True))
        at_once(self.guard)

    async def call(self) -> str:
        request = RequestContext("r", Deadline.after(60.0), Priority.INTERACTIVE)
        async with contextlib.AsyncExitStack() as stack:
            plan = Plan("store", request, hedged=self._hedged, key="a text")
            attempts = CallAttempts(plan, self._once, stack, self.balancer, self.guard, self.losers, lambda: 0.0)
            answer = await attempts.make()
            await asyncio.sleep(0)  # like a stream being read
            return answer

    async def _once(self, lease: Lease, request: RequestContext, stack: contextlib.AsyncExitStack) -> str:
        end, after = self._ends.pop(0) if self._ends else ("late", 0)
        try:
            await turns(after)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            raise
        self.opened += 1
        stack.push_async_callback(self._close)
        await asyncio.sleep(0)
        if isinstance(end, ArgosyError):
            lease.answered(_kind(end.status))
        if isinstance(end, Exception):
            raise type(end)(*end.args)
        return end

    async def _close(self) -> None:
        try:
            await turns(2)
        finally:
            self.opened -= 1

    def left(self) -> dict[str, object]:
        """Return everything that was not released."""
        counts = {
            "in flight": sum(candidate.in_flight for candidate in self.balancer.candidates),
            "in work": self.guard.in_work,
            "pending": sum(self.guard._pending.values()),
            "open": self.opened,
        }
        return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_is_what_its_name_says(way: str) -> None:
    fleet = Fleet(*WAYS[way])
    await asyncio.gather(fleet.call(), return_exceptions=True)
    assert (fleet.guard.hedges_sent, fleet.guard.hedges_won) == (int("hedged" in way), int("second wins" in way))
    await fleet.losers.drop()


async def cancelled_at(way: str, at: Sequence[int]) -> tuple[int, dict[str, object]]:
    """Return how often the call was suspended, and what it left behind after all its tasks have ended."""
    fleet = Fleet(*WAYS[way])
    before = asyncio.all_tasks()
    interrupted = Interrupted(fleet.call(), at)

    async def run() -> str:
        return await interrupted

    ended = (await asyncio.gather(asyncio.create_task(run()), return_exceptions=True))[0]
    assert isinstance(ended, str | ArgosyError | asyncio.CancelledError), ended
    async with asyncio.timeout(30):
        await asyncio.wait_for(_all_ended(before), 10)
    await fleet.losers.drop()
    return interrupted.suspensions, fleet.left()


async def _all_ended(before: set[asyncio.Task[object]]) -> None:
    while asyncio.all_tasks() - before - {asyncio.current_task()}:
        await asyncio.sleep(0)


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_cancelled_at_any_await_leaves_nothing_behind(way: str) -> None:
    for n in range(1, MOST_STEPS):
        suspensions, left = await cancelled_at(way, [n])
        assert left == {}, f"cancelled at suspension {n}"
        if suspensions < n:
            return
    raise AssertionError("the call never completes")


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_cancelled_again_while_it_ends_leaves_nothing_behind(way: str) -> None:
    alone, _ = await cancelled_at(way, [])
    for n in range(1, alone + 1):
        for m in range(n + 1, n + 8):
            _, left = await cancelled_at(way, [n, m])
            assert left == {}, f"cancelled at suspensions {n} and {m}"


def published(*addresses: str) -> Directory:
    directory = Directory(Services())
    endpoints = [Endpoint(f"s{n}", f"http://{address}") for n, address in enumerate(addresses)]
    directory.apply(EndpointSet("1.1", {"store": endpoints}))
    return directory


async def forward(transport: Transport) -> object:
    return (await transport.forward("store", "/any", "GET", context())).status


async def upload(transport: Transport) -> object:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 10
            await asyncio.sleep(0)

    return (await transport.forward("store", "/any", "POST", context(), body=pieces())).status


async def proxied(transport: Transport) -> object:
    async with transport.proxy("store", "/any", "GET", context(), body=None, headers=[], query="") as answer:
        return await answer.content.read()


async def streamed(transport: Transport) -> object:
    async with transport.stream("store", "/any", 1, context()) as lines:
        return [line async for line in lines]


@pytest.mark.parametrize("call", [forward, upload, proxied, streamed])
@pytest.mark.parametrize("hedged", [False, True])
async def test_a_call_over_the_wire_cancelled_at_any_await_leaves_nothing_behind(
    call: Callable[[Transport], Awaitable[object]], hedged: bool
) -> None:
    service = RawService()
    async with (
        listening(service) as one,
        listening(service) as two,
        aiohttp.ClientSession() as session,
    ):
        directory = published(one, two)
        transport = Transport(directory, session, TOKEN)
        guard, balancer = transport.guards["store"], directory.balancer("store")
        if hedged:
            at_once(guard)
        for n in range(1, MOST_STEPS):
            before = asyncio.all_tasks()
            interrupted = Interrupted(call(transport), [n])

            async def run(interrupted: Interrupted[object] = interrupted) -> object:
                return await interrupted

            await asyncio.gather(asyncio.create_task(run()), return_exceptions=True)
            await transport.aclose()
            in_flight = sum(candidate.in_flight for candidate in balancer.candidates)
            assert (in_flight, guard.in_work, sum(guard._pending.values())) == (0, 0, 0), f"cancelled at {n}"
            handling = {task for task in asyncio.all_tasks() - before if "handle" in repr(task)}
            await asyncio.wait_for(_all_ended(before | handling), 10)
            assert not session.connector._acquired, f"cancelled at {n}"  # type: ignore[union-attr]
            if interrupted.suspensions < n:
                return
    raise AssertionError("the call never completes")


async def test_the_fleets_token_follows_no_redirect() -> None:
    elsewhere, service = RawService(), RawService()
    async with listening(elsewhere) as there, listening(service) as here, aiohttp.ClientSession() as session:

        def moved(asked: Asked) -> bytes:
            return f"HTTP/1.1 307 Moved\r\nlocation: http://{there}/x\r\ncontent-length: 0\r\n\r\n".encode()

        service.begin(moved)
        transport = Transport(published(here), session, TOKEN)
        with pytest.raises(ArgosyError):
            await transport.call("store", "/any", 1, int, context())
        with pytest.raises(ArgosyError):
            async with transport.stream("store", "/any", 1, context()):
                pass
        assert (await transport.forward("store", "/any", "GET", context())).status == 307
    assert elsewhere.asked == []


async def test_a_replica_is_not_blamed_for_what_another_one_answered() -> None:
    fleet = Fleet(True, ["a", Conflict("taken")], [9, 1])
    with pytest.raises(Conflict):
        await fleet.call()
    await fleet.losers.drop()
    assert [candidate.failed for candidate in fleet.balancer.candidates] == [0, 0]


async def test_a_refusal_while_a_batch_is_followed_does_not_end_the_stream_in_silence() -> None:
    def state(done: bool) -> RawResponse:
        body = b'{"progress": 0, "counts": {}, "done": %s}' % (b"true" if done else b"false")
        return RawResponse(200, body, "application/json", None)

    coming = [RawResponse(429, b"full", "text/plain", "0"), state(True)]

    async def poll(wait_s: float) -> RawResponse:
        return coming.pop(0)

    told = [event async for event in follow(state(False), poll, Deadline.after(60.0))]
    assert b'"done": true' in told[-1]

    coming = [RawResponse(404, b"gone", "text/plain", None)]
    told = [event async for event in follow(state(False), poll, Deadline.after(60.0))]
    assert told[-1].startswith(b"event: error\n")


@pytest.mark.parametrize("fault", [TooLarge("over the limit"), CallerGone("gone"), None])
@pytest.mark.parametrize("through", ["forward", "proxy"])
async def test_a_body_that_ends_early_is_the_callers_fault_and_ends_the_connection(
    through: str, fault: Exception | None
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * 10
        await service.begun.wait()
        if fault is not None:
            raise fault

    async def call() -> None:
        if through == "forward":
            await transport.forward("store", "/any", "POST", context(), body=pieces())
            raise InvalidRequest("a body in chunks has no length to be short of")
        async with transport.proxy("store", "/any", "POST", context(), body=pieces(), headers=[], query="", length=100):
            pass

    service = RawService()
    async with listening(service) as address, aiohttp.ClientSession() as session:
        directory = published(address)
        transport = Transport(directory, session, TOKEN)
        with pytest.raises(InvalidRequest if fault is None else type(fault)):
            await call()
        assert len(service.asked) == (through == "forward" and fault is None)
        [candidate] = directory.balancer("store").candidates
        assert (candidate.in_flight, candidate.failed) == (0, 0)
        assert (await transport.forward("store", "/next", "GET", context())).body == b"ok"
        assert service.asked[-1].target == "/next"
