"""Directory of replicas in one process: the last accepted endpoint set, and a balancer per service."""

from __future__ import annotations

import asyncio

from argosy.balancing.balancer import Balancer
from argosy.config.models import Services
from argosy.contracts.fleet import Calls, EndpointSet
from argosy.telemetry.logs import logger

log = logger("directory")


class Directory:
    """Directory that continues with its last endpoint set while no updates arrive."""

    def __init__(self, services: Services) -> None:
        settings = services.by_name()
        self._balancers = {name: Balancer(name, each.balancing) for name, each in settings.items()}
        self.protections = {name: each.protection for name, each in settings.items()}
        """Protection settings by service."""
        self._order = (-1, -1)
        self._version: str | None = None
        self._known: dict[str, int] = {}
        self._first = asyncio.Event()

    @property
    def version(self) -> str | None:
        return self._version

    @property
    def services(self) -> list[str]:
        """Names of all services, with or without replicas."""
        return list(self._balancers)

    def balancer(self, service: str) -> Balancer:
        return self._balancers[service]

    def calls(self) -> dict[str, Calls]:
        """Return the counts of calls by this process to each known replica that ended at least one, by replica id."""
        return {
            candidate.endpoint.id: Calls(candidate.ended, candidate.failed, balancer.why_out(candidate.endpoint.id))
            for balancer in self._balancers.values()
            for candidate in balancer.candidates
            if candidate.ended
        }

    async def received(self) -> None:
        """Wait until the first endpoint set has arrived."""
        await self._first.wait()

    def apply(self, update: EndpointSet, *, is_latest: bool = False) -> bool:
        """Apply the set unless it is an older one of the same epoch. Returns: whether it was applied.

        A set of any other epoch is applied, even of a lower one: an epoch belongs to one run of the controller, and a
        controller that lost `control.db`, or whose clock was set back, starts with a lower epoch. It may even reuse an
        earlier epoch. A caller that knows that the controller has just sent the set therefore passes `is_latest`; then
        only the version that is already known is ignored. A service without endpoints keeps its replicas unless
        `emptied` names it.
        """
        epoch, number = update.order()
        if update.version == self._version:
            return False
        if not is_latest and epoch == self._order[0] and number <= self._order[1]:
            return False
        for service, balancer in self._balancers.items():
            endpoints = update.services.get(service, [])
            if not endpoints and self._known.get(service) and service not in update.emptied:
                log.warning("empty endpoint set ignored", service_kept=service, version=update.version)
                continue
            balancer.update(endpoints)
            self._known[service] = len(endpoints)
        self._order, self._version = (epoch, number), update.version
        self._first.set()
        return True
