"""Thread for the forecaster's blocking disk work. It does the work in the order in which it was submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argosy.contracts.errors import Unavailable

T = TypeVar("T")


class DiskThread:
    """Thread that finishes all submitted work, even when the caller is cancelled, so that no submitted data is lost."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "prediction")

    async def do(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread and return its result.

        Raises: Unavailable when the thread is closed; also every error of `work`.
        """
        try:
            done = self._executor.submit(work)
        except RuntimeError as error:
            raise Unavailable("The history is closed because the controller is stopping; ask again later.") from error
        return await asyncio.shield(asyncio.wrap_future(done))

    async def close(self, last: Callable[[], None]) -> None:
        """Run `last` after all submitted work, then accept no more work."""
        try:
            done = self._executor.submit(last)
        except RuntimeError:
            return  # it was closed before
        self._executor.shutdown(wait=False)
        await asyncio.shield(asyncio.wrap_future(done))
