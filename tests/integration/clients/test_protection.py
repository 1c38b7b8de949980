"""Each protection across two processes, on and off: the outcome differs, and /metrics reports the protection."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import aiohttp
import msgspec
import pytest

from argosy.clients.directory import Directory
from argosy.clients.transport import Transport
from argosy.config.models import Fleet, Services
from argosy.contracts.errors import ConfigError, DeadlineExceeded, Overloaded
from argosy.contracts.fleet import Endpoint, EndpointSet, ReplicaStatus
from argosy.contracts.request import Priority, RequestContext
from tests.integration.clients.guarded_service import Ask, Told
from tests.kits import FLEET_HEADERS, TOKEN, context
from tests.waiting import until

pytestmark = pytest.mark.integration
FOR_EVER_MS = 60_000


@dataclass
class Calling:
    """A caller of `retrieval` in this process."""

    services: Services
    directory: Directory
    session: aiohttp.ClientSession
    transport: Transport

    def publish(self, **urls: list[str]) -> None:
        sets = {service: [Endpoint(f"{service}{n}", url) for n, url in enumerate(us)] for service, us in urls.items()}
        self.directory.apply(EndpointSet("1.1", sets))

    async def ask(
        self, path: str = "/ask", ask: Ask | None = None, about: RequestContext | None = None, key: str | None = None
    ) -> Told:
        about = about or context()
        return await self.transport.call("retrieval", path, ask or Ask(), Told, about, read=True, key=key)


def fleet(**retrieval: object) -> Fleet:
    return Fleet.model_validate({"services": {"retrieval": retrieval}})


@contextlib.contextmanager
def replicas(settings: Fleet, count: int = 1) -> Iterator[list[str]]:
    """Start replicas, each in its own process. Yields: their addresses."""
    command = [sys.executable, "-m", "tests.integration.clients.guarded_service", settings.model_dump_json()]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(count)
    ]
    try:
        yield [f"http://127.0.0.1:{int(process.stdout.readline())}" for process in started if process.stdout]
    finally:
        for process in started:
            process.kill()
            process.communicate()


@contextlib.asynccontextmanager
async def calling(settings: Fleet, connections: int = 128) -> AsyncIterator[Calling]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        directory = Directory(settings.services)
        async with contextlib.aclosing(Transport(directory, session, TOKEN)) as transport:
            yield Calling(settings.services, directory, session, transport)


async def refused(session: aiohttp.ClientSession, url: str, reason: str) -> int:
    """Return the number of requests that the replica refused for that reason, from its /metrics."""
    async with session.get(f"{url}/metrics") as response:
        lines = (await response.text()).splitlines()
    name = f'argosy_admission_refused_total{{reason="{reason}",service="retrieval"}} '
    return int(float(next(line for line in lines if line.startswith(name)).removeprefix(name)))


async def in_flight(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(f"{url}/internal/status", headers=FLEET_HEADERS) as response:
        return msgspec.json.decode(await response.read(), type=ReplicaStatus).load.in_flight


async def outcomes(asked: list[asyncio.Task[Told]]) -> Counter[type[object]]:
    return Counter(type(each) for each in await asyncio.gather(*asked, return_exceptions=True))


@pytest.mark.parametrize("on", [True, False])
async def test_a_read_that_is_late_is_answered_by_another_replica(on: bool) -> None:
    settings = fleet(balancing="round_robin", protection={"hedging": on})
    with replicas(settings, 2) as urls:
        async with calling(settings) as caller:
            caller.publish(retrieval=urls)
            for _ in range(40):
                await caller.ask()
            late = await caller.transport.call("retrieval", "/late", Ask(wait_ms=400), Told, context())
            by = [(await caller.ask()).by for _ in range(8)]
            guard = caller.transport.guards["retrieval"]
            candidates = caller.directory.balancer("retrieval").candidates
    assert all(candidate.in_flight == 0 for candidate in candidates)
    assert by.count(late.by) == (0 if on else 4)
    if on:
        assert guard.hedges_sent >= guard.hedges_won >= 4
        # A slow answer is no failure, and a cancelled copy counts neither for nor against its replica.
        assert sum(candidate.failed for candidate in candidates) == 0
    else:
        assert guard.hedges_sent == 0


@pytest.mark.parametrize("on", [True, False])
async def test_where_all_refuse_second_attempts_are_a_share_of_the_first(on: bool) -> None:
    budget = {"retry_share": 0.2 if on else 1.0, "retry_reserve_per_s": 0.0}
    settings = fleet(balancing="round_robin", protection={"hedging": False, "throttling": False, **budget})
    with replicas(settings, 2) as urls:
        async with calling(settings) as caller:
            caller.publish(retrieval=urls)
            for _ in range(100):
                with pytest.raises(Overloaded):
                    await caller.ask("/full")
            told = [await caller.ask("/told") for _ in range(4)]
            spent = caller.transport.guards["retrieval"].retries_refused
    attempts = sum({each.by: each.asked for each in told}.values())
    assert 100 < attempts <= 120 if on else attempts == 200
    assert spent == 200 - attempts


@pytest.mark.parametrize("on", [True, False])
async def test_a_service_that_refuses_everything_is_hardly_asked_any_more(on: bool) -> None:
    settings = fleet(protection={"throttling": on})
    with replicas(settings) as urls:
        async with calling(settings) as caller:
            caller.publish(retrieval=urls)
            for _ in range(200):
                with pytest.raises(Overloaded):
                    await caller.ask("/full")
            throttled = caller.transport.guards["retrieval"].throttled
            asked = 200 - throttled
            # Refused bulk work does not delay a query.
            assert (await caller.ask(about=replace(context(), priority=Priority.BULK))).asked == asked + 1
    assert asked < 60 if on else asked == 200


async def test_a_replica_refuses_at_once_what_would_wait_in_vain() -> None:
    late, turned_away = Counter[bool](), Counter[bool]()
    for on in (True, False):
        protection = {"adaptive_concurrency": on, "concurrency_least": 2, "refuse_late": False, "throttling": False}
        settings = fleet(protection=protection, max_in_flight=40)
        with replicas(settings) as urls:
            async with calling(settings) as caller:
                caller.publish(retrieval=urls)
                for _ in range(3):  # 40 at once; one second suffices for half of them
                    work = Ask(work_ms=50)
                    asked = [asyncio.create_task(caller.ask(ask=work, about=context(1.0))) for _ in range(40)]
                    late[on] += (await outcomes(asked))[DeadlineExceeded]
                turned_away[on] = await refused(caller.session, urls[0], "concurrency")
    assert turned_away[True] > 0 == turned_away[False]
    assert late[True] < late[False]


@pytest.mark.parametrize("on", [True, False])
async def test_a_dependency_that_hangs_leaves_connections_to_the_others(on: bool) -> None:
    settings = fleet(protection={"max_concurrent_calls": 4 if on else 0})
    with replicas(settings, 2) as (hangs, well):
        async with calling(settings, connections=8) as caller:
            caller.publish(retrieval=[hangs], generation=[well])
            held = [asyncio.create_task(caller.ask(ask=Ask(wait_ms=FOR_EVER_MS))) for _ in range(8)]
            await until(lambda: sent_to(caller) >= (4 if on else 8))
            other = caller.transport.call("generation", "/told", Ask(), Told, context(1.0))
            with contextlib.nullcontext() if on else pytest.raises(DeadlineExceeded):
                await other
            if on:
                with pytest.raises(Overloaded, match="calls to the retrieval service"):
                    await caller.ask()
            guard = caller.transport.guards["retrieval"]
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)
    assert guard.in_work == 0
    assert guard.bulkhead_refused == (5 if on else 0)


def sent_to(caller: Calling) -> int:
    return sum(candidate.in_flight for candidate in caller.directory.balancer("retrieval").candidates)


@pytest.mark.parametrize("on", [True, False])
async def test_bulk_work_leaves_room_for_a_query(on: bool) -> None:
    settings = fleet(protection={"bulk_share": 0.5 if on else 1.0}, max_in_flight=4)
    with replicas(settings) as urls:
        async with calling(settings) as caller:
            caller.publish(retrieval=urls)
            bulk = replace(context(), priority=Priority.BULK)
            held = [asyncio.create_task(caller.ask(ask=Ask(wait_ms=FOR_EVER_MS), about=bulk)) for _ in range(4)]

            async def all_arrived() -> bool:
                return await in_flight(caller.session, urls[0]) + sum(task.done() for task in held) >= 4

            await until(all_arrived)
            with contextlib.nullcontext() if on else pytest.raises(Overloaded):
                await caller.ask()
            shed = await refused(caller.session, urls[0], "bulk")
            for task in held:
                task.cancel()
            ended = await outcomes(held)
    assert shed == ended[Overloaded] == (2 if on else 0)


@pytest.mark.parametrize("on", [True, False])
async def test_what_cannot_be_answered_in_time_is_not_begun(on: bool) -> None:
    settings = fleet(protection={"refuse_late": on})
    with replicas(settings) as urls:
        async with calling(settings) as caller:
            caller.publish(retrieval=urls)
            slow = Ask(wait_ms=300)
            await asyncio.gather(*(caller.ask(ask=slow) for _ in range(20)))
            for _ in range(5):
                with pytest.raises(DeadlineExceeded):
                    await caller.ask(ask=slow, about=context(0.2))
            begun = (await caller.ask("/told")).asked - 20
            late = await refused(caller.session, urls[0], "late")
            assert (await caller.ask(ask=slow, about=context(10.0))).asked > 20
    assert (begun, late) == ((0, 5) if on else (5, 0))


async def test_a_request_may_name_the_strategy_of_its_own_picks() -> None:
    settings = fleet(balancing="least_connections")
    with replicas(settings, 2) as urls:
        async with calling(settings) as caller:
            caller.publish(retrieval=urls)
            named = replace(context(), strategy="consistent_hash")
            assert len({(await caller.ask(about=named, key="one text")).by for _ in range(12)}) == 1
            with pytest.raises(ConfigError, match="no balancing strategy 'nonsense'"):
                await caller.ask(about=replace(context(), strategy="nonsense"))


async def test_the_same_key_goes_to_the_same_replica_where_the_strategy_looks_at_keys() -> None:
    seen: dict[str, set[int]] = {}
    with replicas(fleet(), 2) as urls:
        for strategy in ("consistent_hash", "round_robin"):
            async with calling(fleet(balancing=strategy)) as caller:
                caller.publish(retrieval=urls)
                seen[strategy] = {(await caller.ask(key="one text")).by for _ in range(12)}
    assert [len(by) for by in seen.values()] == [1, 2]
