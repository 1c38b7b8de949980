"""A minimal service in its own process: `python -m tests.chaos.tiny NAME` prints its port."""

from __future__ import annotations

import asyncio
import socket
import sys
import time

import msgspec
import uvicorn
import uvloop

from argosy.contracts.request import RequestContext
from argosy.serving.app import create_app, typed
from argosy.serving.patience import Patience
from tests.kits import make_kit

WORK_S = 0.02
SLOW_FACTOR = 16
JUMP_S = 86_400.0


class Ask(msgspec.Struct):
    number: int


class Told(msgspec.Struct):
    by: str


class Mode(msgspec.Struct):
    """Behaviour: `well`, `slow`, `failing`, or `jumping`, in which its wall clock jumps back and forth by a day."""

    name: str


class Tiny:
    def __init__(self, name: str) -> None:
        self._name = name
        self._mode = "well"
        self._wall = time.time
        self._leaps = 0
        self.app = create_app(
            make_kit("store", id=name), [typed("/ask", Ask, self.ask), typed("/mode", Mode, self.become)]
        )

    async def become(self, mode: Mode, context: RequestContext) -> Mode:
        self._mode = mode.name
        time.time = self._leaping if mode.name == "jumping" else self._wall
        return mode

    async def ask(self, ask: Ask, context: RequestContext) -> Told:
        if self._mode == "failing":
            raise RuntimeError("told to fail")
        await asyncio.sleep(WORK_S * (SLOW_FACTOR if self._mode == "slow" else 1))
        return Told(self._name)

    def _leaping(self) -> float:
        self._leaps += 1
        return self._wall() + (JUMP_S if self._leaps % 2 else -JUMP_S)


async def serve(name: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)  # noqa: T201
    # As in our own servers: a server that closes idle connections before its callers do sometimes breaks a request.
    config = uvicorn.Config(
        Tiny(name).app,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=round(Patience().keep_alive_s),
    )
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
