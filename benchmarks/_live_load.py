"""Open-loop load from a separate process: requests are sent when they are due, whether or not others were answered.

Latency counts from the time a request was due, so that a generator or a proxy that falls behind does not hide it.
Arrivals are Poisson and each request brings the work it needs. Both come from the seed, so every proxy in front of the
backends gets the same requests.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
OPENED = 16
"""Connections to each address that are opened before the clock starts. More are opened when all are in use."""
TIMEOUT_S = 30.0


class Plan(msgspec.Struct, frozen=True):
    urls: list[str]
    """Addresses without the query, used in turn."""
    rate: float
    """Requests per second."""
    seconds: float
    skipped_s: float
    """Seconds at the beginning that are not counted."""
    seed: int
    work_ms: float = 0.0
    """Mean of the lognormal work; 0 requests none."""
    sigma: float = 0.0


class Outcome(msgspec.Struct):
    latencies_ms: list[float]
    """Latencies of the requests that were answered with 200, in order of completion."""
    failed: int
    requests: int
    """Number of all requests, including skipped ones."""
    sent_late_ms: float
    """99th percentile of the time by which the generator itself was late."""


def load(plan: Plan) -> Outcome:
    command = [sys.executable, "-m", "benchmarks._live_load"]
    done = subprocess.run(command, cwd=ROOT, input=msgspec.json.encode(plan), stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout, type=Outcome)


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Address:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path
        self._free: list[Connection] = []

    async def open(self) -> None:
        self._free = [await self._connected() for _ in range(OPENED)]

    async def _connected(self) -> Connection:
        return await asyncio.open_connection(self._host, self._port)

    def _kept(self) -> Connection | None:
        """Return the most recently used connection, unless the other side has closed it as idle."""
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    async def get(self, query: str) -> bool:
        """Return whether the request was answered with 200. A connection that failed is not used again."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = self._kept() or await self._connected()
                writer.write(f"GET {self._path}{query} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n\r\n".encode())
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
        except (OSError, EOFError, ValueError, TimeoutError):
            return False
        self._free.append((reader, writer))
        return head.split(None, 2)[1] == b"200"


async def _carry_out(plan: Plan) -> Outcome:
    rng = np.random.default_rng(plan.seed)
    due_s = np.cumsum(rng.exponential(1 / plan.rate, int(plan.rate * plan.seconds)))
    work_ms = rng.lognormal(np.log(plan.work_ms or 1.0) - plan.sigma**2 / 2, plan.sigma, len(due_s))
    addresses = [_Address(url) for url in plan.urls]
    for address in addresses:
        await address.open()
    outcome = Outcome([], 0, len(due_s), 0.0)
    late_ms: list[float] = []
    began_s = time.perf_counter() + 0.05

    async def one(address: _Address, at_s: float, query: str) -> None:
        answered = await address.get(query)
        took_ms = (time.perf_counter() - began_s - at_s) * 1000
        outcome.failed += not answered
        if answered and at_s >= plan.skipped_s:
            outcome.latencies_ms.append(took_ms)

    async with asyncio.TaskGroup() as running:
        for at_s, needs_ms, address in zip(due_s.tolist(), work_ms.tolist(), itertools.cycle(addresses), strict=False):
            wait_s = began_s + at_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            late_ms.append((time.perf_counter() - began_s - at_s) * 1000)
            running.create_task(one(address, at_s, f"?ms={needs_ms:.3f}" if plan.work_ms else ""))
    outcome.sent_late_ms = float(np.quantile(late_ms, 0.99))
    return outcome


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_carry_out(plan))))


if __name__ == "__main__":
    main()
