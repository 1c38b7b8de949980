"""Open-loop load on a gateway: requests leave when they are due, at random as users' do, whoever is still waiting.

Latency counts from the time a request was due. So that a test cannot pile up work without end, no more than `most_open`
are open at once; what is due beyond that is not sent, and the step was saturated.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import aiohttp

MOST_OPEN = 96
LINGER_S = 5.0
"""What is still open so long after the last one was due is given up."""
FULL = (429, 503)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is sent: the same each time, or made from the request's number so that no cache answers it."""

    method: str
    path: str
    body: Callable[[int], object | None] = lambda number: None


@dataclass(slots=True)
class LoadResult:
    seconds: float
    latencies_ms: list[float] = field(default_factory=list)
    """Of those answered well."""
    due_s: list[float] = field(default_factory=list)
    """When each of those was due."""
    in_time: int = 0
    """Answered well before the last one was due."""
    sent: int = 0
    refused: int = 0
    failed: int = 0
    withheld: int = 0
    """Not sent, because too many were open."""
    lost_s: list[float] = field(default_factory=list)
    """When each was due that was refused, failed or not sent."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Of what was sent; 0 for no answer."""
    open_at_end: int = 0


def one_by_one(url: str, ask: Ask, seconds: float, most: int, first: int = 0) -> LoadResult:
    """Each when the one before is answered."""
    return asyncio.run(_one_by_one(url, ask, seconds, most, first))


def open_loop(url: str, ask: Ask, rate: float, seconds: float, seed: int, most_open: int = MOST_OPEN) -> LoadResult:
    """Poisson arrivals of that rate, the same for the same seed."""
    return asyncio.run(_open_loop(url, ask, rate, seconds, seed, most_open))


def _session(url: str) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=30, sock_connect=5)
    return aiohttp.ClientSession(url, timeout=timeout, connector=aiohttp.TCPConnector(limit=0))


async def _send(session: aiohttp.ClientSession, ask: Ask, number: int) -> int:
    """The status; 0 where there was no answer."""
    body = ask.body(number)
    try:
        async with session.request(ask.method, ask.path, json=body) as response:
            await response.read()
            return response.status
    except (aiohttp.ClientError, OSError, TimeoutError):
        return 0


async def _one_by_one(url: str, ask: Ask, seconds: float, most: int, first: int) -> LoadResult:
    outcome, began_s = LoadResult(seconds), time.perf_counter()
    async with _session(url) as session:
        while outcome.sent < most and time.perf_counter() - began_s < seconds:
            due_s = time.perf_counter()
            outcome.sent += 1
            _count(outcome, await _send(session, ask, first + outcome.sent), due_s, due_s - began_s)
    outcome.seconds = time.perf_counter() - began_s
    return outcome


async def _open_loop(url: str, ask: Ask, rate: float, seconds: float, seed: int, most_open: int) -> LoadResult:
    outcome, random = LoadResult(seconds), Random(seed)
    running: dict[asyncio.Task[None], float] = {}
    async with _session(url) as session:
        began_s = time.perf_counter()

        async def one(at_s: float, number: int) -> None:
            status = await _send(session, ask, number)
            _count(outcome, status, began_s + at_s, at_s)
            outcome.in_time += 200 <= status < 400 and time.perf_counter() - began_s <= seconds

        at_s = random.expovariate(rate)
        while at_s < seconds:
            wait_s = began_s + at_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if len(running) >= most_open:
                outcome.withheld += 1
                outcome.lost_s.append(at_s)
            else:
                outcome.sent += 1
                task = asyncio.create_task(one(at_s, random.getrandbits(40)))
                running[task] = at_s
                task.add_done_callback(running.pop)
            at_s += random.expovariate(rate)
        await asyncio.sleep(max(0.0, began_s + seconds - time.perf_counter()))
        outcome.open_at_end = len(running)
        if running:
            await asyncio.wait(running, timeout=LINGER_S)
        left = dict(running)
        outcome.failed += len(left)
        outcome.lost_s += left.values()
        outcome.statuses[0] += len(left)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    return outcome


def _count(outcome: LoadResult, status: int, due_s: float, at_s: float) -> None:
    outcome.statuses[status] += 1
    if 200 <= status < 400:
        outcome.latencies_ms.append((time.perf_counter() - due_s) * 1000)
        outcome.due_s.append(at_s)
        return
    outcome.lost_s.append(at_s)
    if status in FULL:
        outcome.refused += 1
    else:
        outcome.failed += 1
