"""Controller of a fleet: it observes, decides and acts in loops. No user request passes through it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection

import msgspec

from argosy.config.models import Fleet
from argosy.contracts.errors import ArgosyError, NotFound, StorageFull, SupervisionLost
from argosy.contracts.fleet import Endpoint, FleetView, Health, ServiceView, StartReport
from argosy.contracts.request import Clock
from argosy.control.discovery.publisher import Publisher
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.history.series import Series
from argosy.control.monitoring.observed import Observed
from argosy.control.monitoring.prober import Prober
from argosy.control.planning.advice import Advice
from argosy.control.planning.plans import Plans
from argosy.control.platforms.platform import Platform, Replica
from argosy.control.prediction.forecaster import Forecaster
from argosy.control.scaling.predictor import FORECASTING
from argosy.control.scaling.reader import Reader
from argosy.control.scaling.scaler import Scaler
from argosy.control.startup import Startup
from argosy.control.supervision.announcer import Announcer
from argosy.control.supervision.launches import Launches
from argosy.control.supervision.loop_watch import LoopWatch
from argosy.control.supervision.restart_log import is_full
from argosy.control.supervision.shutdown import STRANGER_GRACE_S, stop_all
from argosy.control.supervision.supervisor import MOST_FAILURES, Supervisor
from argosy.control.supervision.watchdog import Rules
from argosy.control.topology.waves import start_waves
from argosy.serving.loops import Loops
from argosy.telemetry.logs import logger
from argosy.telemetry.metrics import ReplicaUsage

log = logger("controller")


class Controller:
    """Controller of one fleet, on any platform."""

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
        clock: Clock = time.monotonic,
        most_failures: int = MOST_FAILURES,
    ) -> None:
        self.fleet = fleet
        self.publisher = publisher
        self.feed = feed
        self.public_port = public_port
        self._most_failures = most_failures
        self._services = fleet.services.by_name()
        self._waves = start_waves(self._services)
        self._platform = platform
        self._prober = prober
        self._history = history
        self._loops = Loops(self._loop_changed, clock=clock)
        self._lost = ""
        """Reason for which the fleet is no longer supervised; empty while it is."""
        self._observed = Observed(self._services, self._waves, time.time(), feed)
        self._stopping = asyncio.Event()
        self._announcer = Announcer(
            publisher,
            self._observed,
            platform,
            self._loops,
            started=lambda: self._startup.report().finished,
            stopping=self._stopping.is_set,
        )
        rules = Rules(probe_interval_s=fleet.fleet.probe_interval_s)
        self._supervisor = Supervisor(
            self._services,
            platform,
            prober,
            self._observed,
            feed,
            Launches(self._services, platform, self._observed, fleet.fleet.host, public_port).of,
            self._announcer.changed,
            rules,
            clock,
            disk_is_full=lambda: is_full(history.folder),
            loops=self._loops,
            most_failures=most_failures,
        )
        self.forecaster = Forecaster(
            self._services,
            history,
            Series(history.folder),
            clock=clock,
            on_failed=lambda error: self._loops.failed(FORECASTING, error),
        )
        self.scaler = Scaler(
            self._services,
            Reader(self._services, platform, self._observed, fleet.fleet.probe_interval_s),
            self._observed,
            self._supervisor,
            feed,
            history,
            interval_s=fleet.fleet.monitoring_interval_s,
            predictor=self.forecaster,
            clock=clock,
            loops=self._loops,
        )
        self.advice = Advice(self._services, self.scaler, self.forecaster)
        self.plans = Plans(self._services, platform, self.scaler, self.forecaster, history)
        self._startup = Startup(self._services, self._waves, self._supervisor.bring_up, clock)
        self._on_start = on_start
        self._loop_watch = LoopWatch()

    def view(self) -> FleetView:
        """Return the state of the fleet.

        While the controller is not HEALTHY, the fleet is DEGRADED at best, because the next failure may go unnoticed.
        """
        seen = self._observed.fleet(self._platform.replicas())
        status, reason = self.health()
        if status is Health.HEALTHY:
            return seen
        own = msgspec.structs.replace(seen.controller, status=status, reason=reason)
        fleet = Health.DEGRADED if seen.status is Health.HEALTHY else seen.status
        return msgspec.structs.replace(seen, controller=own, status=fleet)

    def health(self) -> tuple[Health, str]:
        """Return the controller's own status, and the reason when it is not HEALTHY."""
        if self._lost:
            return Health.UNHEALTHY, self._lost
        reasons = self._loops.reasons()
        return (Health.DEGRADED, "; ".join(reasons)) if reasons else (Health.HEALTHY, "")

    async def keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a loop beside the controller's own, with the same reports of failures; see `Loops.keep`."""
        await self._loops.keep(name, run)

    def service(self, name: str) -> ServiceView:
        """Return the state of one service. Raises: NotFound, naming the existing services."""
        services = self.view().services
        found = next((view for view in services if view.name == name), None)
        if found is None:
            raise NotFound(f'There is no service "{name[:64]}"; there are {", ".join(s.name for s in services)}.')
        return found

    def offered(self, service: str) -> list[Endpoint]:
        """Return the endpoints of the service that are published to callers now."""
        current = self.publisher.current
        return [] if current is None else current.services.get(service, [])

    @property
    def draining(self) -> Collection[str]:
        """Ids of the replicas that must get no new requests."""
        return self._observed.draining

    def callers(self) -> list[Replica]:
        """Return the listening replicas built from the service kit, which may call others through the endpoint set."""
        ours = (r for r in self._platform.replicas() if r.health_path is None and not r.external)
        return [replica for replica in ours if replica.url is not None]

    async def usage(self) -> dict[tuple[str, str], ReplicaUsage]:
        """Return what each running replica of this machine uses, by (service, id)."""
        replicas = self._platform.replicas()
        used = await asyncio.to_thread(lambda: [self._platform.usage(replica.id) for replica in replicas])
        return {
            (replica.service, replica.id): ReplicaUsage(found.cpu_s, found.memory_bytes)
            for replica, found in zip(replicas, used, strict=True)
            if found is not None
        }

    def start_report(self) -> StartReport:
        """Return the report of the start so far."""
        report = self._startup.report()
        return msgspec.structs.replace(
            report,
            balancing={name: settings.balancing for name, settings in self._services.items()},
            monitoring_interval_s=self.fleet.fleet.monitoring_interval_s if report.finished else None,
        )

    async def drain(self, replica_id: str) -> None:
        """Replace a replica without a failed request.

        Raises: NotFound when no replica has that id; Conflict when it runs elsewhere or is being drained already;
        StartError when the replacement does not start.
        """
        await self._supervisor.drain(replica_id)

    def ask_to_stop(self) -> None:
        """Let `run` stop all replicas and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Adopt living replicas, start missing ones, supervise until `ask_to_stop`, then stop all in order.

        Raises: SupervisionLost when supervision has ended by an error; an ArgosyError of the start. The replicas are
        left alive in both cases.
        """
        await self._prober.start()
        self.feed.add("controller", "controller", "absent", "running", f"pid {os.getpid()}")
        try:
            await self._adopt()
            await self._supervise()
            await self._loops.close()
            await self._supervisor.close()
            await self._stop_in_order()
            self.feed.add("controller", "controller", "running", "stopped", "requested")
        except Exception as error:
            self._lost = self._lost or f"the controller failed ({type(error).__name__})"
            self.feed.add("controller", "controller", "running", "failed", self._lost)
            log.error("supervision lost", reason=self._lost, exc_info=error)
            if isinstance(error, ArgosyError):
                raise
            raise SupervisionLost(_lost_message(self._lost)) from error
        finally:
            await self._loops.close()
            for end in (self._supervisor.close, self._prober.stop, self._platform.close, self.forecaster.close):
                try:
                    await end()
                except Exception as error:
                    log.error("part of the controller not closed", exc_info=error)

    async def _adopt(self) -> None:
        adopted = await self._end_strangers(await self._platform.adopt())
        probes = await self._prober.probe_all(adopted)
        alive = {replica.id for replica in self._platform.replicas()}
        for replica_id, probe in probes.items():
            if replica_id in alive:  # the probe of a replica that has ended would be credited to its successor
                self._observed.saw(replica_id, probe)
        self.scaler.restore({replica.service for replica in adopted})
        self._announcer.publish()

    async def _supervise(self) -> None:
        """Run all loops until `ask_to_stop`. Raises: SupervisionLost when supervision ends before."""
        supervision = self._loops.start("supervision", self._start_and_keep, most_failures=self._most_failures)
        self._loops.start("scaling", self.scaler.run)
        self._loops.start(FORECASTING, self.forecaster.run)
        self._loops.start("history", self._watch_history)
        self._loops.start("event loop", self._loop_watch.run)
        asked = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({supervision, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
        if not self._stopping.is_set():
            error = None if supervision.cancelled() else supervision.exception()
            why = (
                "it ended"
                if error is None
                else f"{self._most_failures} errors in a row, the last one {type(error).__name__}"
            )
            self._lost = f"supervision has ended ({why})"
            raise SupervisionLost(_lost_message(self._lost)) from error

    async def _watch_history(self) -> None:
        """Check the history. Raises: StorageFull when it cannot be written; events and learnt values wait in memory."""
        while True:
            if self._history.problem:
                raise StorageFull(f"control.db: {self._history.problem}")
            await asyncio.sleep(self.fleet.fleet.probe_interval_s)

    def _loop_changed(self, name: str, before: str, after: str, why: str) -> None:
        self.feed.add("controller", "controller", f"{name} {before}", f"{name} {after}", why)

    async def _end_strangers(self, adopted: list[Replica]) -> list[Replica]:
        """Stop adopted replicas of services that the fleet file no longer has. Returns: the other replicas."""
        strangers = [replica for replica in adopted if replica.service not in self._services]
        self._announcer.removed = {replica.service for replica in strangers}
        for replica in strangers:
            self.feed.add("replica", replica.id, "adopted", "stopping", f"{replica.service} is not in the fleet file")
        await stop_all(self._platform, ((replica.id, STRANGER_GRACE_S) for replica in strangers))
        return [replica for replica in adopted if replica not in strangers]

    async def _start_and_keep(self) -> None:
        if not self._startup.report().finished:
            await self._startup.run()
            try:
                self._on_start(self.start_report())
            except Exception as error:  # the receiver of the report may be gone, but the fleet runs on
                log.warning("start report not delivered", reason=str(error))
        self._announcer.changed()
        await self._supervisor.run()

    async def _stop_in_order(self) -> None:
        for wave in reversed(self._waves):
            stopping = [r for r in self._platform.replicas() if r.service in wave]
            await stop_all(self._platform, ((r.id, self._services[r.service].drain_timeout_s) for r in stopping))
        log.info("all replicas stopped")


def _lost_message(reason: str) -> str:
    return (
        f"The controller ends: {reason}. Requests are still served; run 'argosy up' to supervise the fleet again,"
        " and see the log with: argosy logs controller"
    )
