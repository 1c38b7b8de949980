"""A service of a few lines for tests of platforms: it does nothing, in the ways its environment asks for."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from argosy.contracts.errors import StartError
from argosy.serving.app import create_app
from argosy.serving.kit import Kit
from argosy.serving.server import main


class TinyService:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.app = create_app(kit, [Route("/hold", self.hold)])

    async def hold(self, request: Request) -> Response:
        """Answers only once the replica drains."""
        while not self._kit.readiness.draining:
            await asyncio.sleep(0.01)
        return PlainTextResponse("held to the end")

    async def start(self) -> None:
        behaviour = os.environ.get("TINY", "")
        if behaviour == "refuse":
            raise StartError("There is no model here.")
        if behaviour == "slow":
            await asyncio.Event().wait()
        if behaviour == "stubborn":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)
        if behaviour == "helper":
            helper = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(600)")
            self._kit.details = lambda: {"helper": helper.pid}
        self._kit.readiness.endpoints_version = "0.0"

    async def stop(self) -> None:
        return None


if __name__ == "__main__":
    if os.environ.get("TINY") == "crash":
        raise ImportError("no module named treasure")
    if os.environ.get("TINY") == "import for ever":
        signal.pause()
    main(TinyService)
