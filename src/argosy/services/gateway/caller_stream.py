"""The body of a caller's request as it comes, and whether the caller is still there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive

from argosy.contracts.errors import CallerGone


class CallerStream:
    """The only reader of a request's messages: a second one would take pieces of the body away from the first."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises: CallerGone, the caller has hung up before the end."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerGone("The caller has gone.")
            more = message.get("more_body", False)
            if body := message.get("body", b""):
                yield body
        self._read.set()

    def without_body(self) -> None:
        """Say that nobody will read a body."""
        self._read.set()

    async def gone(self) -> None:
        """Return when the caller has hung up; while a body is read, whoever reads it hears of that first."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
