"""Waiting until a batch changes: a long poll."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from argosy.contracts.documents import BatchView
from argosy.contracts.request import Deadline

POLL_S = 0.2


async def changed(look: Callable[[], Awaitable[BatchView]], deadline: Deadline) -> BatchView:
    """The batch as soon as it is not as it was first, or done; as it is when the deadline passes."""
    first = view = await look()
    while not view.done and (view.progress, view.counts) == (first.progress, first.counts):
        if deadline.remaining_s() <= 0:
            break
        await asyncio.sleep(min(POLL_S, max(0.0, deadline.remaining_s())))
        view = await look()
    return view
