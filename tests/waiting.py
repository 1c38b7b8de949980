"""Waiting in tests for a condition that nothing announces. Where there is an event, wait for the event instead."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

LOOK_EVERY_S = 0.005


async def until(condition: Callable[[], object | Awaitable[object]], within_s: float = 30.0) -> None:
    """Wait until the condition, which may be asynchronous, returns a true value.

    Raises: TimeoutError when it does not within `within_s`.
    """
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(LOOK_EVERY_S)


def until_in_thread(condition: Callable[[], object], within_s: float = 30.0) -> None:
    """Do the same in a test without an event loop."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError
        time.sleep(LOOK_EVERY_S)
