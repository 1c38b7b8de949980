"""Adoptions: replicas that a controller found running, left by an earlier one or run elsewhere."""

from __future__ import annotations

from argosy.contracts.errors import StartError
from argosy.contracts.request import Clock
from argosy.control.events.feed import Feed
from argosy.control.platforms.platform import Platform, Replica
from argosy.control.supervision.ends import Ends
from argosy.control.supervision.restart_log import RestartLog
from argosy.control.supervision.watch_tasks import WatchTasks
from argosy.control.supervision.watchdog import Watchdog

EXTERNAL_WAIT_S = 5.0
"""Longest wait for a replica that runs elsewhere. It is not being started, so it answers soon or not at all."""


class Adoptions:
    """Adoptions of the replicas of one platform."""

    def __init__(
        self,
        platform: Platform,
        feed: Feed,
        restart_log: RestartLog,
        watchdog: Watchdog,
        watch_tasks: WatchTasks,
        ends: Ends,
        clock: Clock,
    ) -> None:
        self._platform = platform
        self._feed = feed
        self._restart_log = restart_log
        self._watchdog = watchdog
        self._watch_tasks = watch_tasks
        self._ends = ends
        self._clock = clock
        self.waiting: set[str] = set()
        """Adopted replicas that are not listening yet."""

    async def until_ready(self, replica: Replica, start_timeout_s: float) -> None:
        """Watch an adopted replica and wait until it is ready.

        Raises: StartError when it is not ready within `start_timeout_s`, or within EXTERNAL_WAIT_S for a replica that
        runs elsewhere. A replica that is ready late stays in service; a replica that never listens is ended.
        """
        timeout_s = EXTERNAL_WAIT_S if replica.external else start_timeout_s
        why = f"runs at {replica.url}" if replica.external else f"pid {replica.pid} was alive"
        self._feed.add("replica", replica.id, "unknown", "adopted", why)
        until_s = self._clock() + timeout_s
        if replica.url is None:
            await self._until_listening(replica, timeout_s)
        self._watch_tasks.ensure(replica)
        await self._watchdog.until_ready(replica, until_s)
        self._restart_log.succeeded(replica.id)

    async def _until_listening(self, replica: Replica, timeout_s: float) -> None:
        """Wait until an adopted replica listens that was still starting when its controller died.

        Raises: StartError when it does not; the replica is ended.
        """
        self.waiting.add(replica.id)
        try:
            await self._platform.listening(replica, timeout_s)
        except StartError as error:
            await self._ends.end(replica, error.message)
            raise
        finally:
            self.waiting.discard(replica.id)
