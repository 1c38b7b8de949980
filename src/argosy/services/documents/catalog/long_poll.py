"""Long polling: waiting until a batch changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from argosy.contracts.documents import BatchView
from argosy.contracts.request import Deadline
from argosy.serving.waiting import Waiters

POLL_S = 0.2
MOST_LOOKS_PER_S = 250.0
"""Highest rate of polls of all waiters together: each poll costs a database query."""


def pause_s(waiting: int) -> float:
    """Return the pause between two polls of a waiter when there are `waiting` of them."""
    return max(POLL_S, waiting / MOST_LOOKS_PER_S)


async def changed(
    look: Callable[[], Awaitable[BatchView]], deadline: Deadline, waiters: Waiters | None = None
) -> BatchView:
    """Return the batch as soon as it changes or is done, or unchanged when the deadline passes or waiting is ended."""
    first = view = await look()
    while not view.done and (view.progress, view.counts) == (first.progress, first.counts):
        if deadline.remaining_s() <= 0 or (waiters is not None and waiters.ending.is_set()):
            break
        pause = min(pause_s(waiters.count if waiters else 0), max(0.0, deadline.remaining_s()))
        if waiters is None:
            await asyncio.sleep(pause)
        else:
            await waiters.pause(pause)
        view = await look()
    return view
