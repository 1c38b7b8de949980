"""Prober for platforms without processes."""

from __future__ import annotations

import asyncio
import time

from argosy.contracts.fleet import Health, Load, ReplicaStatus
from argosy.control.health.replica import Probe
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.platform import Replica


class Answers(Prober):
    """Prober to which every listening replica answers that it is ready, except the replicas in `silent`."""

    def __init__(self) -> None:
        super().__init__("token", 1)
        self.silent: set[str] = set()

    async def probe(self, replica: Replica) -> Probe:
        await asyncio.sleep(0)
        if replica.url is None or replica.id in self.silent:
            return Probe(time.time(), error="no answer within 1 s")
        said = ReplicaStatus(
            service=replica.service,
            replica=replica.id,
            revision=replica.revision,
            pid=replica.pid or 0,
            ready=True,
            draining=False,
            health=Health.HEALTHY,
            reason="",
            uptime_s=1.0,
            endpoints_version=None,
            load=Load(),
        )
        return Probe(time.time(), 1.0, said)
