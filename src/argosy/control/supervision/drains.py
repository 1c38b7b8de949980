"""Drains: replicas that leave without a failed request.

A replica leaves the endpoint set first, so that callers learn of it. Then it is told to drain, and it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

from argosy.config.service import ServiceSettings
from argosy.contracts.errors import Conflict, NotFound, StartError
from argosy.control.events.feed import Feed
from argosy.control.monitoring.observed import Observed
from argosy.control.platforms.platform import Platform, Replica
from argosy.control.supervision.slots import Slots, number_of
from argosy.serving.loops import Loops

DRAIN_NOTICE_S = 0.1
"""Time between leaving the endpoint set and the order to drain, in which callers learn of it."""


class Drains:
    """Drains of replicas, and the choice of the replicas to drain."""

    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        platform: Platform,
        observed: Observed,
        feed: Feed,
        slots: Slots,
        loops: Loops,
        *,
        fill: Callable[[str, str], Awaitable[None]],
        spawn: Callable[[Coroutine[None, None, None]], object],
        on_change: Callable[[], None],
        on_gone: Callable[[], None],
    ) -> None:
        """Create the drains of a supervisor.

        Args:
            fill: starts a replica of the service in the slot and waits until it is ready; raises StartError.
            spawn: runs the work in a task that the supervisor cancels when it closes.
            on_change: called when the set of replicas that can serve may have changed.
            on_gone: called when a replica has left, so that the supervisor reconciles.
        """
        self._services = services
        self._platform = platform
        self._observed = observed
        self._feed = feed
        self._slots = slots
        self._loops = loops
        self._fill = fill
        self._spawn = spawn
        self._on_change = on_change
        self._on_gone = on_gone

    def surplus(self, service: str, running: Sequence[Replica]) -> list[Replica]:
        """Return surplus replicas left by a controller that died mid-drain: unready ones first, then the oldest."""
        count = max(0, len(running) - self._observed.desired[service])
        return sorted(running, key=lambda r: (self._observed.is_ready(r), r.started_at))[:count]

    def loss(self, slot: str, running: Mapping[str, Replica]) -> tuple[int, int, float, int]:
        """Return the loss when the slot goes, as a sort key: the least loss first, and the newest of equal ones."""
        if slot not in running:
            return 0, 0, 0.0, -number_of(slot)
        replica, answer = running[slot], self._observed.health(slot).last_answer
        ready, in_flight = self._observed.is_ready(replica), answer.load.in_flight if answer else 0
        return 1 + ready, in_flight, -replica.started_at, -number_of(slot)

    def begin(self, replica: Replica, why: str) -> None:
        """Drain the replica in the background, without a replacement."""
        self._slots.leaving.add(replica.id)
        self._observed.growing[replica.service].discard(replica.id)
        self._spawn(self._until_gone(replica, why))

    async def _until_gone(self, replica: Replica, why: str) -> None:
        """Retry until the replica is gone: nothing supervises a leaving replica, so it would run for ever otherwise."""
        try:
            await self._loops.keep(f"drain of {replica.id}", lambda: self._retire(replica, why))
        finally:
            self._slots.leaving.discard(replica.id)

    async def replace(self, replica_id: str) -> None:
        """Replace a replica without a failed request.

        The replacement starts first, then the replica drains. A single writer drains first, because two may not run.

        Raises: NotFound when no replica has that id; Conflict when it runs elsewhere or is being drained already;
        StartError when the replacement does not start, in which case the replica stays.
        """
        replica = next((r for r in self._platform.replicas() if r.id == replica_id), None)
        if replica is None:
            raise NotFound(f'There is no replica "{replica_id[:64]}"; see the replicas with: argosy status')
        if replica.external:
            raise Conflict(f"{replica_id} runs elsewhere; drain it there.")
        if replica_id in self._slots.leaving:
            raise Conflict(f"{replica_id} is being drained already; wait until it is gone.")
        self._slots.leaving.add(replica_id)
        try:
            if not self._services[replica.service].single_writer:
                await self._fill_substitute(replica.service)
            await self._retire(replica, "requested")
        finally:
            self._slots.leaving.discard(replica_id)

    async def _fill_substitute(self, service: str) -> None:
        substitute = self._slots.add(service)
        try:
            await self._fill(service, substitute)
        except StartError:
            self._slots.of(service).discard(substitute)
            self._observed.recovered(service, substitute)
            raise

    async def _retire(self, replica: Replica, why: str) -> None:
        """Tell callers that the replica leaves, then drain it. A single writer keeps its slot for its successor."""
        settings = self._services[replica.service]
        self._feed.add("replica", replica.id, "ready", "draining", why)
        if not settings.single_writer:
            self._slots.of(replica.service).discard(replica.id)
        self._observed.draining.add(replica.id)
        self._on_change()
        await asyncio.sleep(DRAIN_NOTICE_S)
        try:
            await self._platform.stop(replica.id, settings.drain_timeout_s)
        finally:
            self._observed.draining.discard(replica.id)
            self._observed.recovered(replica.service, replica.id)
            self._on_gone()
