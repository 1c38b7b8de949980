"""Shutdown of replicas: dependants stop before the services that they depend on, so that the gateway closes first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from argosy.config.models import Fleet
from argosy.control.platforms.platform import Platform
from argosy.control.topology.waves import start_waves
from argosy.telemetry.logs import logger

STRANGER_GRACE_S = 10.0
"""Time in which replicas of a service that is not in the fleet file may drain."""

log = logger("shutdown")


async def stop_all(platform: Platform, replicas: Iterable[tuple[str, float]]) -> None:
    """Stop replicas, given as (id, grace in seconds), all at once. A replica that cannot be stopped is logged only."""
    asked = list(replicas)
    ends = await asyncio.gather(*(platform.stop(*each) for each in asked), return_exceptions=True)
    for (replica_id, _), end in zip(asked, ends, strict=True):
        if isinstance(end, Exception):
            log.error("replica not stopped", replica_id=replica_id, exc_info=end)


def stop_waves(fleet: Fleet) -> list[list[str]]:
    """Return the services of the fleet in the order in which they stop, wave by wave."""
    return list(reversed(start_waves(fleet.services.by_name())))
