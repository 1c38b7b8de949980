"""External replicas, which run elsewhere: always listed beside those of a platform, never started or stopped."""

from __future__ import annotations

from collections.abc import Mapping

from argosy.config.service import CustomSettings
from argosy.contracts.errors import StartError
from argosy.control.platforms.blocked import Blocked
from argosy.control.platforms.platform import HostCapacity, Launch, Platform, Replica, Usage


class WithExternals:
    """Platform with the external replicas of the fleet file added."""

    def __init__(self, platform: Platform, services: Mapping[str, CustomSettings]) -> None:
        self._platform = platform
        self.exits = platform.exits
        self._externals = [
            Replica(f"{name}-{n}", name, "external", url=url, health_path=settings.health_path, external=True)
            for name, settings in services.items()
            for n, url in enumerate(settings.external or (), start=1)
        ]

    def capacity(self) -> HostCapacity:
        return self._platform.capacity()

    def replicas(self) -> list[Replica]:
        return [*self._platform.replicas(), *self._externals]

    async def adopt(self) -> list[Replica]:
        return [*await self._platform.adopt(), *self._externals]

    async def start(self, launch: Launch) -> Replica:
        if any(replica.service == launch.service for replica in self._externals):
            raise StartError(f"{launch.service} runs elsewhere and cannot be started from here; start it there.")
        return await self._platform.start(launch)

    def usage(self, replica_id: str) -> Usage | None:
        return self._platform.usage(replica_id)

    def blocked(self, replica_id: str) -> Blocked | None:
        return self._platform.blocked(replica_id)

    async def listening(self, replica: Replica, timeout_s: float) -> None:
        await self._platform.listening(replica, timeout_s)

    async def stop(self, replica_id: str, grace_s: float) -> None:
        await self._platform.stop(replica_id, grace_s)

    async def close(self) -> None:
        await self._platform.close()
