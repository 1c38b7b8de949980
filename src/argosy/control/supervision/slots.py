"""Slots of the services. A slot is the place of a replica; its name `SERVICE-N` is the id of the replica in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from argosy.config.service import ServiceSettings
from argosy.control.platforms.platform import Platform, Replica


class Slots:
    """Slots of all services, and the replicas that leave theirs."""

    def __init__(self, services: Mapping[str, ServiceSettings], platform: Platform) -> None:
        self._services = services
        self._platform = platform
        self._slots: dict[str, set[str]] = {name: set() for name in services}
        self.leaving: set[str] = set()
        """Replicas that are being drained or are about to be."""

    def of(self, service: str) -> set[str]:
        """Return the slots of the service. The set is live: changes to it take effect."""
        return self._slots[service]

    def add(self, service: str) -> str:
        """Add the first free slot to the service and return its name."""
        taken = self._slots[service] | {replica.id for replica in self._platform.replicas()}
        slot = free_slot(service, taken)
        self._slots[service].add(slot)
        return slot

    def take_up(self, service: str) -> list[Replica]:
        """Add the slots of running replicas, such as adopted ones. Returns: the running replicas that stay."""
        going = self.going(service)
        staying = [r for r in self._platform.replicas() if r.service == service and r.id not in going]
        self._slots[service] |= {replica.id for replica in staying}
        return staying

    def going(self, service: str) -> set[str]:
        """Return the leaving replicas whose slots go with them. A single writer keeps its slot for its successor."""
        return set() if self._services[service].single_writer else self.leaving


def number_of(slot: str) -> int:
    """Return the N of `SERVICE-N`."""
    return int(slot.rpartition("-")[2])


def free_slot(service: str, taken: Collection[str]) -> str:
    """Return the slot with the lowest number that is not taken."""
    return next(slot for n in range(1, len(taken) + 2) if (slot := f"{service}-{n}") not in taken)
