"""Watching tasks, one for each replica. A task that ended although its replica stays is started again."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable

from argosy.control.platforms.platform import Replica
from argosy.serving.loops import Loops


class WatchTasks:
    """Tasks that watch the replicas."""

    def __init__(self, loops: Loops, watch: Callable[[Replica], Awaitable[None]], on_end: Callable[[], None]) -> None:
        """Begin without tasks.

        Args:
            watch: watches one replica and returns when the replica needs no more watching.
            on_end: called after a watching task has ended.
        """
        self._loops = loops
        self._watch = watch
        self._on_end = on_end
        self._tasks: dict[str, tuple[Replica, asyncio.Task[None]]] = {}

    def ensure(self, replica: Replica) -> None:
        """Watch the replica, unless a task watches it already."""
        known = self._tasks.get(replica.id)
        if known is not None and known[0] is replica and not known[1].done():
            return
        if known is not None:
            known[1].cancel()
        task = self._loops.start(f"supervision of {replica.id}", functools.partial(self._watch, replica))
        self._tasks[replica.id] = (replica, task)
        task.add_done_callback(functools.partial(self._ended, replica))

    async def close(self) -> None:
        """Stop watching all replicas."""
        tasks = [task for _, task in self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, replica: Replica, task: asyncio.Task[None]) -> None:
        known = self._tasks.get(replica.id)
        if known is not None and known[1] is task:
            del self._tasks[replica.id]
        if not task.cancelled():
            self._on_end()
