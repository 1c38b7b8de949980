"""How much text is in work at once: a bound on memory that does not care how many documents it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Room:
    """In characters. Who comes first gets in first; what is larger than all of it gets in alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = most
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def held(self, size: int) -> AsyncIterator[None]:
        size = min(size, self._most)
        async with self._turn:
            while self._free < size:
                self._freed.clear()
                await self._freed.wait()
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            self._freed.set()
