"""Announcer: publishes endpoint sets and reports changes of health whenever the replicas that can serve change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from argosy.control.discovery.emptied import emptied
from argosy.control.discovery.publisher import Publisher
from argosy.control.monitoring.observed import Observed
from argosy.control.platforms.platform import Platform
from argosy.serving.loops import Loops

PUBLISHING, TELLING = "publication of endpoints", "report of health changes"


class Announcer:
    def __init__(
        self,
        publisher: Publisher,
        observed: Observed,
        platform: Platform,
        loops: Loops,
        *,
        started: Callable[[], bool],
        stopping: Callable[[], bool],
    ) -> None:
        """Create an announcer.

        Args:
            started: returns whether the start of the fleet is over; no change of health is reported before.
            stopping: returns whether the fleet is being stopped; nothing is announced then.
        """
        self._publisher = publisher
        self._observed = observed
        self._platform = platform
        self._loops = loops
        self._started = started
        self._stopping = stopping
        self.removed: set[str] = set()
        """Services that an earlier controller ran and that the fleet file no longer has."""
        self._again: asyncio.TimerHandle | None = None
        """Timer of the next try when an announcement failed."""

    def publish(self) -> None:
        """Publish the endpoints of the ready replicas."""
        replicas, current = self._platform.replicas(), self._publisher.current
        services = self._observed.endpoints(replicas)
        leaving = self.removed | {replica.service for replica in replicas if replica.id in self._observed.draining}
        self._publisher.publish(services, emptied(services, leaving, [] if current is None else current.emptied))

    def changed(self) -> None:
        """Publish endpoints and health changes, because the set of replicas that can serve may have changed.

        Nothing is published before adoption is done. A failed publication is retried. Never raises, because it is
        called in the middle of decisions that must be carried out.
        """
        if self._stopping():
            return
        for name, tell in ((PUBLISHING, self._publish_again), (TELLING, self._tell_changes)):
            try:
                tell()
            except Exception as error:
                backoff_s = self._loops.failed(name, error)
                if self._again is not None:
                    self._again.cancel()
                self._again = asyncio.get_running_loop().call_later(backoff_s, self.changed)

    def _publish_again(self) -> None:
        if self._publisher.current is not None:
            self.publish()

    def _tell_changes(self) -> None:
        if self._publisher.current is not None and self._started():
            self._observed.tell_changes(self._platform.replicas())
