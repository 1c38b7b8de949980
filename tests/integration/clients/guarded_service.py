"""A replica in a process of its own, for tests of protection: `python -m tests.integration.clients.guarded_service
FLEET_JSON`, its port on its output. It is what each request asks it to be: slow, busy with one at a
time, full."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

import msgspec
import uvicorn
import uvloop

from argosy.config.models import Fleet
from argosy.contracts.errors import Overloaded
from argosy.contracts.request import RequestContext
from argosy.serving.app import create_app, typed
from tests.kits import make_kit


class Ask(msgspec.Struct):
    work_ms: int = 0
    """Of the one worker."""
    wait_ms: int = 0
    """Beside it."""


class Told(msgspec.Struct):
    asked: int
    """Requests that came as far as the service, so far."""
    by: int
    """The process that answers."""


class Guarded:
    def __init__(self, fleet: Fleet) -> None:
        self._asked = 0
        self._late_ms = 0
        self._worker = asyncio.Lock()
        self.app = create_app(
            make_kit("retrieval", fleet),
            [
                typed("/ask", Ask, self.ask),
                typed("/late", Ask, self.late),
                typed("/full", Ask, self.full),
                typed("/told", Ask, self.told),
            ],
        )

    async def ask(self, ask: Ask, context: RequestContext) -> Told:
        self._asked += 1
        await asyncio.sleep((ask.wait_ms + self._late_ms) / 1000)
        if ask.work_ms:
            async with self._worker:
                await asyncio.sleep(ask.work_ms / 1000)
        return await self.told(ask, context)

    async def late(self, ask: Ask, context: RequestContext) -> Told:
        """From now on every answer is that much later."""
        self._late_ms = ask.wait_ms
        return await self.told(ask, context)

    async def full(self, ask: Ask, context: RequestContext) -> Told:
        self._asked += 1
        raise Overloaded("There is no room.", retry_after_s=1)

    async def told(self, ask: Ask, context: RequestContext) -> Told:
        return Told(self._asked, os.getpid())


async def serve(fleet: Fleet) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)  # noqa: T201
    config = uvicorn.Config(Guarded(fleet).app, lifespan="off", log_config=None, access_log=False)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    uvloop.run(serve(Fleet.model_validate_json(sys.argv[1])))
