"""What blocks, away from the event loop: one thread, which does things in the order they were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argosy.contracts.errors import Unavailable

T = TypeVar("T")


class DiskThread:
    """What was asked for is done even when the one who asked is cancelled: nothing handed over is lost."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "prediction")

    async def do(self, work: Callable[[], T]) -> T:
        """Raises: Unavailable, it is closed; and whatever `work` raises."""
        try:
            done = self._executor.submit(work)
        except RuntimeError as error:
            raise Unavailable("The history is closed, because the controller stops; ask the next one.") from error
        return await asyncio.shield(asyncio.wrap_future(done))

    async def close(self, last: Callable[[], None]) -> None:
        """Does `last` after all that was asked for before, then takes no more."""
        try:
            done = self._executor.submit(last)
        except RuntimeError:
            return  # closed before
        self._executor.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(done))
