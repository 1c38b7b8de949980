"""A caller and four replicas. One replica fails in every possible way while 2,000 requests run."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from tests.chaos.calling import RATE_PER_S, WINDOW, Caller, Load, TinyProcess, calling
from tests.chaos.tiny import JUMP_S

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

REPLICAS = 4
REQUESTS = 2_000
BREAKS_AT = 200
MENDED_AT = 1_000
ATTEMPTS_MOST = 1.2
EVEN_AGAIN_S = 10


class Replicas:
    def __init__(self) -> None:
        self.all = [TinyProcess(f"tiny-{n}") for n in range(REPLICAS)]
        for tiny in self.all:
            tiny.await_port()

    @property
    def victim(self) -> TinyProcess:
        return self.all[0]

    def urls(self, **instead: str) -> dict[str, str]:
        return {tiny.name: instead.get(tiny.name, tiny.url) for tiny in self.all}

    def victim_at(self, url: str) -> dict[str, str]:
        return self.urls(**{self.victim.name: url})


Break = Callable[[Replicas, Caller, Load], AbstractAsyncContextManager[None]]


@pytest.fixture(scope="module")
def replicas() -> Iterator[Replicas]:
    started = Replicas()
    yield started
    for tiny in started.all:
        tiny.kill()


@contextlib.asynccontextmanager
async def killed(replicas: Replicas, caller: Caller, load: Load) -> AsyncIterator[None]:
    """Kill a replica without telling the caller; later a new process has the same name on another port."""
    replicas.victim.kill()
    yield
    replicas.victim.start()
    await asyncio.to_thread(replicas.victim.await_port)
    caller.publish(replicas.urls())


@contextlib.asynccontextmanager
async def hung(replicas: Replicas, caller: Caller, load: Load) -> AsyncIterator[None]:
    replicas.victim.process.send_signal(signal.SIGSTOP)
    yield
    replicas.victim.process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def slow(replicas: Replicas, caller: Caller, load: Load) -> AsyncIterator[None]:
    await replicas.victim.become("slow")
    yield
    await replicas.victim.become("well")


@contextlib.asynccontextmanager
async def failing(replicas: Replicas, caller: Caller, load: Load) -> AsyncIterator[None]:
    await replicas.victim.become("failing")
    yield
    await replicas.victim.become("well")


@contextlib.asynccontextmanager
async def refusing(replicas: Replicas, caller: Caller, load: Load) -> AsyncIterator[None]:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound, not listening: refuses connections
        caller.publish(replicas.victim_at(f"http://127.0.0.1:{unheard.getsockname()[1]}"))
        yield
        caller.publish(replicas.urls())


@contextlib.asynccontextmanager
async def half_open(replicas: Replicas, caller: Caller, load: Load) -> AsyncIterator[None]:
    """Let the kernel accept connections that no process reads."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as deaf:
        caller.publish(replicas.victim_at(f"http://127.0.0.1:{deaf.getsockname()[1]}"))
        yield
        caller.publish(replicas.urls())


@contextlib.asynccontextmanager
async def resetting(replicas: Replicas, caller: Caller, load: Load) -> AsyncIterator[None]:
    """Read the beginning of each request, then reset the connection."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as rude:
        caller.publish(replicas.victim_at(f"http://127.0.0.1:{rude.sockets[0].getsockname()[1]}"))
        yield
        caller.publish(replicas.urls())


@contextlib.asynccontextmanager
async def flapping(replicas: Replicas, caller: Caller, load: Load) -> AsyncIterator[None]:
    """Change the endpoint set every few requests: one, two, all or no replicas are missing."""

    async def flap() -> None:
        for missing in itertools.cycle(({0}, {1, 2}, set(range(REPLICAS)), {3}, set(), {0, 3})):
            names = [tiny.name for n, tiny in enumerate(replicas.all) if n not in missing]
            caller.publish({name: url for name, url in replicas.urls().items() if name in names})
            await load.until_sent(load.sent + 7)

    flaps = asyncio.create_task(flap())
    yield
    flaps.cancel()
    await asyncio.gather(flaps, return_exceptions=True)
    caller.publish(replicas.urls())


@contextlib.asynccontextmanager
async def clocks_jumping(replicas: Replicas, caller: Caller, load: Load) -> AsyncIterator[None]:
    """Make the wall clocks of caller and replicas jump by a day at every reading. The monotonic clock cannot jump."""
    leap = itertools.cycle((JUMP_S, -JUMP_S))
    wall = time.time
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: wall() + next(leap))
        for tiny in replicas.all:
            await tiny.become("jumping")
        yield
    for tiny in replicas.all:
        await tiny.become("well")


async def endured(broken: Break, replicas: Replicas) -> tuple[Load, int]:
    """Run 2,000 requests with the fault in the middle, and continue until the load is even.

    Returns: the load, and the number of requests sent when the fault was repaired.
    """
    async with calling() as caller, Load(caller) as load:
        caller.publish(replicas.urls())
        await load.until_sent(BREAKS_AT)
        async with broken(replicas, caller, load):
            await load.until_sent(MENDED_AT)
        mended, since = load.sent, len(load.answered)
        await load.until_sent(REQUESTS)
        assert caller.attempts <= ATTEMPTS_MOST * load.sent
        await load.until_even(REPLICAS, since, mended + EVEN_AGAIN_S * RATE_PER_S)
    assert all(candidate.in_flight == 0 for candidate in caller.directory.balancer("store").candidates)
    return load, mended


@pytest.mark.parametrize(
    "broken", [killed, hung, slow, failing, refusing, half_open, resetting, flapping, clocks_jumping]
)
async def test_no_request_fails_and_the_load_is_even_again(broken: Break, replicas: Replicas) -> None:
    load, _ = await endured(broken, replicas)
    assert load.failed == {}


@contextlib.asynccontextmanager
async def all_failing(replicas: Replicas, caller: Caller, load: Load) -> AsyncIterator[None]:
    for tiny in replicas.all:
        await tiny.become("failing")
    yield
    for tiny in replicas.all:
        await tiny.become("well")


async def test_replicas_that_were_all_bad_serve_as_soon_as_they_are_well(replicas: Replicas) -> None:
    load, mended = await endured(all_failing, replicas)
    assert load.failed
    assert [number for number in load.failed if number >= mended] == []
    assert len(load.answered) >= load.sent - mended + BREAKS_AT - WINDOW
