"""Start of a fleet, with its services in dependency order.

Each service starts as soon as its dependencies have settled. A failed service does not delay the services that do not
depend on it. Services in `requires` must have started; services in `wants` must only have settled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from argosy.config.service import ServiceSettings
from argosy.contracts.errors import ArgosyError
from argosy.contracts.fleet import ServiceStart, StartOutcome, StartReport
from argosy.contracts.request import Clock
from argosy.telemetry.logs import logger

log = logger("startup")


class Startup:
    """Start of the whole fleet, and its report."""

    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        waves: Sequence[Sequence[str]],
        launch: Callable[[str], Awaitable[None]],
        clock: Clock = time.monotonic,
    ) -> None:
        """Create a start that has not begun.

        Args:
            waves: the services in start order.
            launch: starts the replicas of a service and returns when they are ready, or raises an ArgosyError.
        """
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
        """Return the report of the start so far; its time grows until the start is finished."""
        until_s = self._clock() if self._ended_s is None else self._ended_s
        return StartReport(self._ended_s is not None, list(self._entries.values()), until_s - self._started_s)

    async def run(self) -> StartReport:
        """Start all services and return the report. Failures of services are in the report."""
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
            except Exception as error:  # a bug in the start of one service must not end the start of the others
                log.error("service start failed", failed=name, exc_info=error)
                why = f"{name} could not be started: {type(error).__name__}; see the controller's log."
                entry.outcome, entry.error = StartOutcome.FAILED, why
            entry.seconds = self._clock() - began_s
        finally:
            log.info(
                "service start finished",
                started=name,
                outcome=entry.outcome.value,
                error=entry.error,
                seconds=entry.seconds,
            )
            self._settled[name].set()
