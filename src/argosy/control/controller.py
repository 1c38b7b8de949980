"""The controller: observe → decide → act, in one loop. It never carries a user's request."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from argosy.config.models import Fleet
from argosy.contracts.errors import StartError
from argosy.contracts.fleet import FleetView, StartReport
from argosy.control.discovery.publisher import Publisher
from argosy.control.monitoring.observed import Observed
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.platform import Launch, Platform, Replica, ReplicaExit
from argosy.control.startup import Startup
from argosy.control.topology.waves import start_waves
from argosy.telemetry.logs import logger

READY_POLL_S = 0.05
FIRST_REVISION = "r1"

log = logger("controller")


class Controller:
    def __init__(
        self,
        fleet: Fleet,
        platform: Platform,
        prober: Prober,
        publisher: Publisher,
        public_port: int,
        on_start: Callable[[StartReport], None] = lambda report: None,
    ) -> None:
        self.fleet = fleet
        self.publisher = publisher
        self.public_port = public_port
        self._services = fleet.services.by_name()
        self._waves = start_waves(self._services)
        self._platform = platform
        self._prober = prober
        self._observed = Observed(self._services, self._waves, time.time())
        self._startup = Startup(self._services, self._waves, self._launch)
        self._on_start = on_start
        self._stopping = asyncio.Event()
        platform.exits.callbacks.append(self._on_exit)

    def view(self) -> FleetView:
        return self._observed.fleet(self._platform.replicas())

    def start_report(self) -> StartReport:
        return self._startup.report()

    def ask_to_stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Adopts what lives, starts what is missing, watches until `ask_to_stop`, then stops everything in order."""
        await self._prober.start()
        try:
            await self._platform.adopt()
            await self._observe()
            self._publish()
            starting = asyncio.create_task(self._startup.run())
            starting.add_done_callback(self._started)
            watching = asyncio.create_task(self._watch())
            await self._stopping.wait()
            await _cancel(starting, watching)
            await self._stop_in_order()
        finally:
            await self._prober.stop()
            await self._platform.close()

    def _started(self, task: asyncio.Task[StartReport]) -> None:
        if not task.cancelled():
            self._on_start(task.result())

    async def _watch(self) -> None:
        """A round that fails is logged and followed by the next."""
        while True:
            try:
                await self._observe()
                self._publish()
            except Exception as error:
                log.error("round failed", exc_info=error)
            await asyncio.sleep(self.fleet.fleet.probe_interval_s)

    async def _observe(self) -> None:
        for replica_id, probe in (await self._prober.probe_all(self._platform.replicas())).items():
            self._observed.saw(replica_id, probe)

    def _publish(self) -> None:
        self.publisher.publish(self._observed.endpoints(self._platform.replicas()))

    def _on_exit(self, ended: ReplicaExit) -> None:
        self._observed.lost(ended.replica, None if ended.asked else ended.describe())
        if self.publisher.current is not None:
            self._publish()

    async def _launch(self, service: str) -> None:
        """Brings a service up to its minimum; adopted replicas count. Raises: StartError."""
        settings = self._services[service]
        running = [r for r in self._platform.replicas() if r.service == service]
        missing = settings.replicas.min - len(running)
        started = [self._start_replica(service) for _ in range(missing)]
        waiting = [self._ready(replica, settings.start_timeout_s) for replica in running]
        await asyncio.gather(*started, *waiting)

    async def _start_replica(self, service: str) -> None:
        settings = self._services[service]
        is_gateway = service == "gateway"
        launch = Launch(
            service,
            FIRST_REVISION,
            cpu_share=self._platform.capacity().cores / self._observed.desired[service],
            public_host=self.fleet.fleet.host if is_gateway else None,
            public_port=self.public_port if is_gateway else None,
        )
        deadline_s = time.monotonic() + settings.start_timeout_s
        replica = await self._platform.start(launch)
        await self._platform.listening(replica, settings.start_timeout_s)
        try:
            await self._ready(replica, deadline_s - time.monotonic())
        except StartError:
            await self._platform.stop(replica.id, 1.0)
            raise

    async def _ready(self, replica: Replica, timeout_s: float) -> None:
        """Raises: StartError with the replica's own reason when it ends, or when it is not ready in time."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if replica not in self._platform.replicas():
                raise StartError(self._observed.failures.get(replica.service, f"{replica.id} ended."))
            probe = await self._prober.probe(replica)
            if probe.status is not None:
                self._observed.saw(replica.id, probe)
            if probe.status is not None and probe.status.ready:
                self._publish()
                return
            await asyncio.sleep(READY_POLL_S)
        reason = self._observed.health(replica.id).reason
        raise StartError(f"{replica.id} was not ready after {timeout_s:.0f} s: {reason}.")

    async def _stop_in_order(self) -> None:
        """Dependants before what they depend on, so that the entrance closes first."""
        for wave in reversed(self._waves):
            stopping = [r for r in self._platform.replicas() if r.service in wave]
            await asyncio.gather(
                *(self._platform.stop(r.id, self._services[r.service].drain_timeout_s) for r in stopping)
            )
        log.info("all stopped")


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


def stop_waves(fleet: Fleet) -> list[list[str]]:
    """The order to stop in when no controller is there to do it."""
    return list(reversed(start_waves(fleet.services.by_name())))
