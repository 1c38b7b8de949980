"""Body of a caller's request, read piece by piece, and notice of a caller that hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive

from argosy.contracts.errors import CallerGone


class CallerStream:
    """Sole reader of a request's messages: a second reader would take pieces of the body away from the first."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises: CallerGone when the caller hangs up before the end of the body.
        """
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerGone("The caller hung up.")
            more = message.get("more_body", False)
            if body := message.get("body", b""):
                yield body
        self._read.set()

    def without_body(self) -> None:
        """Declare that no body will be read, so that `gone` need not wait for its end."""
        self._read.set()

    async def gone(self) -> None:
        """Wait until the caller hangs up. While the body is being read, `pieces` notices that instead."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
