"""The real transport of a calling process with tiny replicas, and a load that records how every request ended."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp

from argosy.clients.directory import Directory
from argosy.clients.load_prober import LoadProber
from argosy.clients.transport import Transport
from argosy.config.models import Services
from argosy.contracts.errors import ArgosyError
from argosy.contracts.fleet import Endpoint, EndpointSet
from tests.chaos.tiny import Ask, Mode, Told
from tests.kits import FLEET_HEADERS, TOKEN, context

RATE_PER_S = 400
"""Highest request rate; a busy machine gets a lower one."""
AT_ONCE = 128
DEADLINE_S = 5.0
WINDOW = 400
"""Number of requests over which the load must be even."""
LEAST_SHARE = 0.5
"""Least part of its fair share of a window that each replica must get for the load to count as even."""


class TinyProcess:
    """A replica process. When it is restarted it keeps its name but not its port."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.tiny", self.name],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def await_port(self) -> None:
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    async def become(self, mode: str) -> None:
        sent = {**FLEET_HEADERS, "content-type": "application/json", "accept": "application/json"}
        async with (
            aiohttp.ClientSession(headers=sent) as session,
            session.post(f"{self.url}/mode", json={"name": Mode(mode).name}) as response,
        ):
            assert response.status == 200, await response.text()


@dataclass
class Caller:
    """The transport of one calling process, and the number of its calls."""

    directory: Directory
    transport: Transport
    attempts: int = 0
    versions: int = 0

    def publish(self, urls: dict[str, str]) -> None:
        self.versions += 1
        endpoints = [Endpoint(name, url) for name, url in urls.items()]
        self.directory.apply(EndpointSet(f"1.{self.versions}", {"store": endpoints}))

    async def ask(self, number: int) -> str:
        """Return the name of the replica that answered. Raises: the errors of the transport."""
        told = await self.transport.call("store", "/ask", Ask(number), Told, context(DEADLINE_S))
        return told.by


@contextlib.asynccontextmanager
async def calling() -> AsyncIterator[Caller]:
    async def count(session: aiohttp.ClientSession, about: object, sent: aiohttp.TraceRequestStartParams) -> None:
        caller.attempts += sent.url.path == "/ask"

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(count)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=512), trace_configs=[trace]) as session:
        directory = Directory(Services())
        caller = Caller(directory, Transport(directory, session, TOKEN))
        probing = asyncio.create_task(LoadProber(directory, session).run())
        yield caller
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)


@dataclass
class Load:
    """Load that runs while its context is open; on exit every request has ended."""

    caller: Caller
    sent: int = 0
    answered: list[str] = field(default_factory=list)
    """Names of the answering replicas, in the order of the answers."""
    failed: dict[int, str] = field(default_factory=dict)
    """Failures by number of the request."""
    _marks: dict[int, asyncio.Event] = field(default_factory=dict)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Load:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._pacing = asyncio.create_task(self._pace())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pacing.cancel()
        await asyncio.gather(self._pacing, return_exceptions=True)
        await asyncio.gather(*self._running)

    async def until_sent(self, count: int) -> None:
        if self.sent < count:
            await self._marks.setdefault(count, asyncio.Event()).wait()

    async def until_even(self, replicas: int, since: int, latest: int) -> None:
        """Wait until each replica has its share of the last window, counted from answer number `since`.

        Fails when that does not happen before request number `latest`.
        """
        while True:
            window = Counter(self.answered[since:][-WINDOW:])
            least = min(window.values(), default=0) if len(window) == replicas else 0
            if window.total() == WINDOW and least >= LEAST_SHARE * WINDOW / replicas:
                return
            assert self.sent < latest, f"not even at request {self.sent}: {window}"
            await self.until_sent(self.sent + 20)

    async def _pace(self) -> None:
        due_s = time.monotonic()
        while True:
            await self._places.acquire()
            task = asyncio.create_task(self._ask(self.sent))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            self.sent += 1
            if (mark := self._marks.pop(self.sent, None)) is not None:
                mark.set()
            due_s = max(due_s + 1 / RATE_PER_S, time.monotonic() - 10 / RATE_PER_S)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def _ask(self, number: int) -> None:
        try:
            self.answered.append(await self.caller.ask(number))
        except ArgosyError as error:
            self.failed[number] = f"{error.code}: {error.message}"
        finally:
            self._places.release()
