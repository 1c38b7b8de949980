"""The controller: observe → decide → act, in one loop. It never carries a user's request."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from argosy.config.models import CustomSettings, Fleet
from argosy.contracts.errors import NotFound
from argosy.contracts.fleet import Endpoint, FleetView, ServiceView, StartReport
from argosy.control.discovery.emptied import emptied
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history import History
from argosy.control.monitoring.observed import Observed
from argosy.control.monitoring.prober import Prober
from argosy.control.planning.advice import Advice
from argosy.control.planning.plans import Plans
from argosy.control.platforms.platform import Launch, Platform, Replica
from argosy.control.prediction.forecaster import Forecaster
from argosy.control.prediction.series import Series
from argosy.control.scaling.reader import Reader
from argosy.control.scaling.scaler import Scaler
from argosy.control.startup import Startup
from argosy.control.supervision.supervisor import Supervisor
from argosy.control.supervision.watchdog import Rules
from argosy.control.topology.waves import start_waves
from argosy.telemetry.logs import logger

FIRST_REVISION = "r1"
STRANGER_GRACE_S = 10.0
LITTLE_ROOM_BYTES = 16 * 2**20
"""With less of it free, a replica that ends has the disk to blame: the store alone maps files of that size."""

log = logger("controller")


class Controller:
    def __init__(
        self,
        fleet: Fleet,
        platform: Platform,
        prober: Prober,
        publisher: Publisher,
        feed: Feed,
        history: History,
        public_port: int,
        on_start: Callable[[StartReport], None] = lambda report: None,
    ) -> None:
        self.fleet = fleet
        self.publisher = publisher
        self.feed = feed
        self.public_port = public_port
        self._services = fleet.services.by_name()
        self._waves = start_waves(self._services)
        self._platform = platform
        self._prober = prober
        self._observed = Observed(self._services, self._waves, time.time(), feed)
        rules = Rules(probe_interval_s=fleet.fleet.probe_interval_s)
        self._supervisor = Supervisor(
            self._services,
            platform,
            prober,
            self._observed,
            feed,
            self._launch,
            self._changed,
            rules,
            disk_is_full=lambda: _is_full(history.folder),
        )
        self.forecaster = Forecaster(self._services, history, Series(history.folder))
        self.scaler = Scaler(
            self._services,
            Reader(self._services, platform, self._observed, fleet.fleet.probe_interval_s),
            self._observed,
            self._supervisor,
            feed,
            history,
            interval_s=fleet.fleet.monitoring_interval_s,
            predictor=self.forecaster,
        )
        self.advice = Advice(self._services, self.scaler, self.forecaster)
        self.plans = Plans(self._services, platform, self.scaler, self.forecaster, history)
        self._startup = Startup(self._services, self._waves, self._supervisor.bring_up)
        self._on_start = on_start
        self._removed: set[str] = set()
        """Services that an earlier controller ran and that the fleet file no longer has."""
        self._stopping = asyncio.Event()

    def view(self) -> FleetView:
        return self._observed.fleet(self._platform.replicas())

    def service(self, name: str) -> ServiceView:
        """Raises: NotFound, naming the services there are."""
        services = self.view().services
        found = next((view for view in services if view.name == name), None)
        if found is None:
            raise NotFound(f'There is no service "{name[:64]}"; there are {", ".join(s.name for s in services)}.')
        return found

    def offered(self, service: str) -> list[Endpoint]:
        """What callers are told of the service now."""
        current = self.publisher.current
        return [] if current is None else current.services.get(service, [])

    @property
    def draining(self) -> Collection[str]:
        """Replicas that are to get nothing new."""
        return self._observed.draining

    def callers(self) -> list[Replica]:
        """Replicas that are built from our kit, and so may call others by what they are told."""
        ours = (r for r in self._platform.replicas() if r.health_path is None and not r.external)
        return [replica for replica in ours if replica.url is not None]

    def start_report(self) -> StartReport:
        report = self._startup.report()
        return msgspec.structs.replace(
            report,
            balancing={name: settings.balancing for name, settings in self._services.items()},
            monitoring_interval_s=self.fleet.fleet.monitoring_interval_s if report.finished else None,
        )

    async def drain(self, replica_id: str) -> None:
        """Raises: NotFound; StartError when its replacement does not start."""
        await self._supervisor.drain(replica_id)

    def ask_to_stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Adopts what lives, starts what is missing, watches until `ask_to_stop`, then stops everything in order."""
        await self._prober.start()
        self.feed.add("controller", "controller", "absent", "running", f"pid {os.getpid()}")
        try:
            adopted = await self._end_strangers(await self._platform.adopt())
            for replica_id, probe in (await self._prober.probe_all(adopted)).items():
                self._observed.saw(replica_id, probe)
            self.scaler.restore({replica.service for replica in adopted})
            self._publish()
            working = asyncio.create_task(self._work())
            await self._stopping.wait()
            await _cancelled(working)
            await self._supervisor.close()
            await self._stop_in_order()
        finally:
            self.feed.add("controller", "controller", "running", "stopped", "asked to")
            await self._supervisor.close()
            await self._prober.stop()
            await self._platform.close()
            await self.forecaster.close()

    async def _end_strangers(self, adopted: list[Replica]) -> list[Replica]:
        """Replicas of services that the fleet file no longer has are stopped. Returns: the others."""
        strangers = [replica for replica in adopted if replica.service not in self._services]
        self._removed = {replica.service for replica in strangers}
        for replica in strangers:
            self.feed.add("replica", replica.id, "adopted", "stopping", f"{replica.service} is not in the fleet file")
        await asyncio.gather(*(self._platform.stop(replica.id, STRANGER_GRACE_S) for replica in strangers))
        return [replica for replica in adopted if replica not in strangers]

    async def _work(self) -> None:
        """Starts the fleet and keeps it up; what has started is scaled whatever the others still do."""
        async with asyncio.TaskGroup() as tasks:
            for work in (self._start_and_keep(), self.scaler.run(), self.forecaster.run()):
                tasks.create_task(work)

    async def _start_and_keep(self) -> None:
        await self._startup.run()
        try:
            self._on_start(self.start_report())
        except Exception as error:  # who was to be told may be gone; the fleet is not
            log.warning("the start was not told", reason=str(error))
        self._changed()
        await self._supervisor.run()

    def _changed(self) -> None:
        """Who can serve may have changed: tell callers and the feed. Nothing is published before adoption is done."""
        if self.publisher.current is not None and not self._stopping.is_set():
            self._publish()
            if self._startup.report().finished:
                self._observed.tell_changes(self._platform.replicas())

    def _publish(self) -> None:
        replicas, current = self._platform.replicas(), self.publisher.current
        services = self._observed.endpoints(replicas)
        leaving = self._removed | {replica.service for replica in replicas if replica.id in self._observed.draining}
        self.publisher.publish(services, emptied(services, leaving, [] if current is None else current.emptied))

    def _launch(self, service: str, replica_id: str) -> Launch:
        is_gateway, settings = service == "gateway", self._services[service]
        argv, health_path = None, None
        if isinstance(settings, CustomSettings):
            argv = settings.command or (sys.executable, "-m", "argosy.services.custom")
            health_path = settings.health_path if settings.command is not None else None
        return Launch(
            service,
            replica_id,
            FIRST_REVISION,
            cpu_share=self._platform.capacity().cores / self._observed.desired[service],
            public_host=self.fleet.fleet.host if is_gateway else None,
            public_port=self.public_port if is_gateway else None,
            argv=argv,
            health_path=health_path,
        )

    async def _stop_in_order(self) -> None:
        """Dependants before what they depend on, so that the entrance closes first."""
        for wave in reversed(self._waves):
            stopping = [r for r in self._platform.replicas() if r.service in wave]
            await asyncio.gather(
                *(self._platform.stop(r.id, self._services[r.service].drain_timeout_s) for r in stopping)
            )
        log.info("all stopped")


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Whatever became of the task: stopping the fleet goes on."""
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    except Exception as error:
        log.error("the controller's work had failed", exc_info=error)


def stop_waves(fleet: Fleet) -> list[list[str]]:
    """The order to stop in when no controller is there to do it."""
    return list(reversed(start_waves(fleet.services.by_name())))


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LITTLE_ROOM_BYTES
    except OSError:  # what cannot be told is no excuse
        return False
