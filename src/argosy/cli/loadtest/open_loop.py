"""Open-loop load on a gateway: each request is sent at its due time, whether or not earlier ones are answered.

Due times are random, like those of users. Latency counts from the due time. At most `most_open` requests are open at
once, so that a test cannot pile up work; requests due beyond that are not sent, and the step counts as saturated.
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
"""Time after the last due time at which open requests are cancelled."""
FULL = (429, 503)


@dataclass(frozen=True, slots=True)
class Ask:
    """Request to send. `body` may depend on the request's number, so that no cache answers it."""

    method: str
    path: str
    body: Callable[[int], object | None] = lambda number: None


@dataclass(slots=True)
class Outcome:
    seconds: float
    latencies_ms: list[float] = field(default_factory=list)
    """Latencies of the successful requests."""
    due_s: list[float] = field(default_factory=list)
    """Due times of the successful requests, from the start of the step."""
    in_time: int = 0
    """Number of requests that succeeded before the end of the step."""
    sent: int = 0
    refused: int = 0
    failed: int = 0
    withheld: int = 0
    """Number of requests that were not sent because too many were open."""
    lost_s: list[float] = field(default_factory=list)
    """Due times of the requests that were refused, failed or not sent."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Count of each status; 0 stands for no answer."""
    open_at_end: int = 0


def one_by_one(url: str, ask: Ask, seconds: float, most: int, first: int = 0) -> Outcome:
    """Send requests one after another, at most `most`, for `seconds`."""
    return asyncio.run(_one_by_one(url, ask, seconds, most, first))


def open_loop(url: str, ask: Ask, rate: float, seconds: float, seed: int, most_open: int = MOST_OPEN) -> Outcome:
    """Send Poisson arrivals at `rate` requests per second. The same seed gives the same arrivals."""
    return asyncio.run(_open_loop(url, ask, rate, seconds, seed, most_open))


def _session(url: str) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=30, sock_connect=5)
    return aiohttp.ClientSession(url, timeout=timeout, connector=aiohttp.TCPConnector(limit=0))


async def _send(session: aiohttp.ClientSession, ask: Ask, number: int) -> int:
    """Send one request. Returns: its status, or 0 when there was no answer."""
    body = ask.body(number)
    try:
        async with session.request(ask.method, ask.path, json=body) as response:
            await response.read()
            return response.status
    except (aiohttp.ClientError, OSError, TimeoutError):
        return 0


async def _one_by_one(url: str, ask: Ask, seconds: float, most: int, first: int) -> Outcome:
    outcome, began_s = Outcome(seconds), time.perf_counter()
    async with _session(url) as session:
        while outcome.sent < most and time.perf_counter() - began_s < seconds:
            due_s = time.perf_counter()
            outcome.sent += 1
            _count(outcome, await _send(session, ask, first + outcome.sent), due_s, due_s - began_s)
    outcome.seconds = time.perf_counter() - began_s
    return outcome


async def _open_loop(url: str, ask: Ask, rate: float, seconds: float, seed: int, most_open: int) -> Outcome:
    outcome, random = Outcome(seconds), Random(seed)
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


def _count(outcome: Outcome, status: int, due_s: float, at_s: float) -> None:
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
