"""A replica in its own process for tests of protection.

`python -m tests.integration.clients.guarded_service FLEET_JSON` prints its port. Each request tells the replica how to
behave: slow, busy with one request at a time, or full.
"""

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
    """Time for which the request occupies the single worker."""
    wait_ms: int = 0
    """Time that the request waits without occupying the worker."""


class Told(msgspec.Struct):
    asked: int
    """Number of requests that have reached the service so far."""
    by: int
    """Pid of the answering process."""


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
        """Delay every further answer by the given time."""
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
