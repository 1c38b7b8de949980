"""Parts for tests of services: a kit without a controller, and a served app on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import uvloop
from starlette.types import ASGIApp

from argosy.config.models import Fleet
from argosy.contracts.request import Deadline, RequestContext
from argosy.serving.connections import Connections
from argosy.serving.http_server import HttpConfig, HttpServer
from argosy.serving.kit import Kit
from argosy.serving.patience import Patience
from argosy.serving.runfile import RunRecord
from tests.waiting import until

TOKEN = "fleet-token"
FLEET_HEADERS = {"authorization": f"Bearer {TOKEN}"}


def make_kit(service: str = "store", fleet: Fleet | None = None, **record: object) -> Kit:
    """Return a kit as `argosy.serving.server` would build it, for a replica nobody controls."""
    fleet = fleet or Fleet()
    known: dict[str, object] = {
        "id": f"{service}-1",
        "service": service,
        "revision": "r1",
        "token": TOKEN,
        "data_dir": ".",
        "controller_url": "http://127.0.0.1:1",
        "fleet_json": fleet.model_dump_json(),
        **record,
    }
    return Kit(RunRecord(**known), fleet, fleet.services.by_name()[service])  # type: ignore[arg-type]


def context(timeout_s: float = 30.0) -> RequestContext:
    return RequestContext("test", Deadline.after(timeout_s))


@contextlib.contextmanager
def served_in_thread(app: ASGIApp, *, patience: Patience | None = None) -> Iterator[str]:
    """Serve as `served` does, on an event loop of its own: one server for all tests of a module."""
    url: queue.Queue[tuple[str, Callable[[], object]]] = queue.Queue()

    async def serve() -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        async with served(app, patience=patience) as found:
            url.put((found, lambda: loop.call_soon_threadsafe(ended.set)))
            await ended.wait()

    thread = threading.Thread(target=uvloop.run, args=(serve(),))
    thread.start()
    found, end = url.get(timeout=20)
    try:
        yield found
    finally:
        end()
        thread.join(timeout=20)


@contextlib.asynccontextmanager
async def served(
    app: ASGIApp | Callable[..., object], *, patience: Patience | None = None, connections: Connections | None = None
) -> AsyncIterator[str]:
    """Serve the app with the server of every service on a free loopback port; yield its URL."""
    config = HttpConfig(cast("ASGIApp", app), connections or Connections(1024), drain_s=1, patience=patience)
    server = HttpServer(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started or serving.done())
    assert server.started
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
