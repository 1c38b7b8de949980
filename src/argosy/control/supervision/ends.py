"""Ends of replicas: the supervisor ends harmful replicas, and it counts every end that nobody asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection

from argosy.control.events.feed import Feed
from argosy.control.monitoring.observed import Observed
from argosy.control.platforms.platform import Platform, Replica, ReplicaExit
from argosy.control.supervision.restart_log import RestartLog
from argosy.serving.loops import Loops

HUNG_GRACE_S = 1.0
"""Time between SIGTERM and SIGKILL for a replica that hangs or did not start."""


class Ends:
    """Ends of the replicas of one platform."""

    def __init__(
        self,
        platform: Platform,
        observed: Observed,
        feed: Feed,
        restart_log: RestartLog,
        loops: Loops,
        starting: Collection[str],
        on_change: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        """Record ends in the given parts.

        Args:
            starting: slots that are being filled, live. The start itself counts the failure of such a slot.
            on_change: called when the set of replicas that can serve may have changed.
            on_end: called after every end, so that the supervisor reconciles.
        """
        self._platform = platform
        self._observed = observed
        self._feed = feed
        self._restart_log = restart_log
        self._loops = loops
        self._starting = starting
        self._on_change = on_change
        self._on_end = on_end
        self._condemned: dict[str, str] = {}
        """Replica → reason for which the supervisor ends it."""

    async def end(self, replica: Replica, reason: str) -> None:
        """End a harmful replica. Its slot is filled again as after a crash."""
        if replica not in self._platform.replicas():
            return  # its end is counted already, and a reason kept now would be given to its successor
        self._condemned[replica.id] = reason
        self._feed.add("replica", replica.id, "ready", "stopping", reason)
        self._observed.draining.add(replica.id)
        self._on_change()
        try:
            await self._platform.stop(replica.id, HUNG_GRACE_S)
        finally:
            self._observed.draining.discard(replica.id)

    def record(self, end: ReplicaExit) -> None:
        """Record the end of a replica, and count it as a failure when nobody asked for it. Never raises."""
        try:
            self._count(end)
            self._on_change()
        except Exception as error:
            self._loops.failed(f"supervision of {end.replica.id}", error)
        finally:
            self._on_end()

    def _count(self, end: ReplicaExit) -> None:
        slot, service = end.replica.id, end.replica.service
        condemned = self._condemned.pop(slot, None)
        unasked = condemned or (None if end.asked else end.describe())
        self._observed.lost(end.replica, unasked)
        if slot not in self._starting:
            if unasked is not None:
                self._restart_log.failed(service, slot, "stopping" if condemned else "ready", unasked)
            else:
                was = "draining" if slot in self._observed.draining else "ready"
                self._feed.add("replica", slot, was, "stopped", "requested")
