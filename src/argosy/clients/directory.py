"""What a process knows of who serves what: the last endpoint set it accepted, and a balancer per service."""

from __future__ import annotations

import asyncio

from argosy.balancing.balancer import Balancer
from argosy.config.models import Services
from argosy.contracts.fleet import Calls, EndpointSet
from argosy.telemetry.logs import logger

log = logger("directory")


class Directory:
    """Keeps working with what it knew last when nobody updates it any more."""

    def __init__(self, services: Services) -> None:
        settings = services.by_name()
        self._balancers = {name: Balancer(name, each.balancing) for name, each in settings.items()}
        self.protections = {name: each.protection for name, each in settings.items()}
        """By service: how calls to it are protected."""
        self._order = (-1, -1)
        self._version: str | None = None
        self._known: dict[str, int] = {}
        self._first = asyncio.Event()

    @property
    def version(self) -> str | None:
        return self._version

    @property
    def services(self) -> list[str]:
        """The names of all services, whether or not anybody serves them."""
        return list(self._balancers)

    def balancer(self, service: str) -> Balancer:
        return self._balancers[service]

    def calls(self) -> dict[str, Calls]:
        """What this process saw of every replica it knows, by id."""
        return {
            candidate.endpoint.id: Calls(candidate.ended, candidate.failed, balancer.why_out(candidate.endpoint.id))
            for balancer in self._balancers.values()
            for candidate in balancer.candidates
            if candidate.ended
        }

    async def received(self) -> None:
        """Returns once the first endpoint set is here."""
        await self._first.wait()

    def apply(self, update: EndpointSet, *, is_latest: bool = False) -> bool:
        """Take over the set unless it is an older one of the same epoch. Returns: whether it was taken over.

        A set of any other epoch is taken over, also of a lower one: an epoch belongs to one run of the controller, and
        a controller that lost `control.db`, or whose clock was set back, begins lower. It may even begin with an epoch
        that was there before. So a caller who knows that the controller has just sent the set says `is_latest`; then
        only the very version that is known already is left out. A service that is empty without `emptied` saying so
        keeps its replicas.
        """
        epoch, number = update.order()
        if update.version == self._version:
            return False
        if not is_latest and epoch == self._order[0] and number <= self._order[1]:
            return False
        for service, balancer in self._balancers.items():
            endpoints = update.services.get(service, [])
            if not endpoints and self._known.get(service) and service not in update.emptied:
                log.warning("kept endpoints", service_kept=service, version=update.version)
                continue
            balancer.update(endpoints)
            self._known[service] = len(endpoints)
        self._order, self._version = (epoch, number), update.version
        self._first.set()
        return True
