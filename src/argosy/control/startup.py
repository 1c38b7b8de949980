"""Starts the services of a fleet in dependency order.

Each service starts as soon as what it depends on has settled; services that do not need one that failed are not held
up by it. `requires` must have started; `wants` must only have settled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from argosy.config.models import ServiceSettings
from argosy.contracts.errors import ArgosyError
from argosy.contracts.fleet import ServiceStart, StartOutcome, StartReport
from argosy.contracts.request import Clock
from argosy.telemetry.logs import logger

log = logger("startup")


class Startup:
    """One start of the whole fleet, and the report of how it goes."""

    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        waves: Sequence[Sequence[str]],
        launch: Callable[[str], Awaitable[None]],
        clock: Clock = time.monotonic,
    ) -> None:
        """`launch` starts one service's replicas and returns when they are ready, or raises an ArgosyError."""
        self._services = services
        self._waves = waves
        self._launch = launch
        self._clock = clock
        self._settled = {name: asyncio.Event() for name in services}
        self._entries = {
            name: ServiceStart(name, StartOutcome.PENDING, wave) for wave, names in enumerate(waves) for name in names
        }
        self._started_s = clock()
        self._ended_s: float | None = None

    def report(self) -> StartReport:
        until_s = self._clock() if self._ended_s is None else self._ended_s
        return StartReport(self._ended_s is not None, list(self._entries.values()), until_s - self._started_s)

    async def run(self) -> StartReport:
        self._started_s = self._clock()
        await asyncio.gather(*(self._start(name) for name in self._services))
        self._ended_s = self._clock()
        return self.report()

    async def _start(self, name: str) -> None:
        entry, settings = self._entries[name], self._services[name]
        try:
            for dependency in (*settings.requires, *settings.wants):
                await self._settled[dependency].wait()
            missing = [d for d in settings.requires if self._entries[d].outcome is not StartOutcome.STARTED]
            if missing:
                entry.outcome, entry.error = StartOutcome.WAITING, f"waits for {', '.join(missing)}"
                return
            began_s = self._clock()
            try:
                await self._launch(name)
                entry.outcome = StartOutcome.STARTED
            except ArgosyError as error:
                entry.outcome, entry.error = StartOutcome.FAILED, error.message
            except Exception as error:  # a bug that shows in one service must not end the start of the others
                log.error("service start failed", failed=name, exc_info=error)
                why = f"{name} could not be started: {type(error).__name__}; see the controller's log."
                entry.outcome, entry.error = StartOutcome.FAILED, why
            entry.seconds = self._clock() - began_s
        finally:
            log.info(
                "service start", started=name, outcome=entry.outcome.value, error=entry.error, seconds=entry.seconds
            )
            self._settled[name].set()
