"""Supervisor: keeps every service at its desired number of replicas.

It starts missing replicas, restarts ended ones and ends hung ones. The rules are pure functions in `restart` and
`hang`; this module applies them to the platform. A slot keeps its id, whichever process fills it.
"""

# This is one class of more than 300 lines: starting a replica touches every collaborator, so a second class would
# take all of them too.

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence

from argosy.config.service import ServiceSettings
from argosy.contracts.errors import ArgosyError, StartError
from argosy.contracts.request import Clock
from argosy.control.events.feed import Feed
from argosy.control.monitoring.observed import Observed
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.platform import Launch, Platform, Replica
from argosy.control.supervision.adoptions import Adoptions
from argosy.control.supervision.drains import Drains
from argosy.control.supervision.ends import HUNG_GRACE_S, Ends
from argosy.control.supervision.restart_log import NEVER_TRIED, RestartLog
from argosy.control.supervision.slots import Slots, number_of
from argosy.control.supervision.start_limit import PLACE_S, free_places
from argosy.control.supervision.watch_tasks import WatchTasks
from argosy.control.supervision.watchdog import Rules, Watchdog
from argosy.serving.loops import Loops
from argosy.telemetry.logs import logger

MOST_FAILURES = 8
"""Consecutive errors after which the restart loop gives up; with its backoff, they take about a minute."""

log = logger("supervisor")


class Supervisor:
    """Supervisor of all services of one fleet."""

    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        platform: Platform,
        prober: Prober,
        observed: Observed,
        feed: Feed,
        launch: Callable[[str, str], Launch],
        on_change: Callable[[], None],
        rules: Rules | None = None,
        clock: Clock = time.monotonic,
        disk_is_full: Callable[[], bool] = lambda: False,
        loops: Loops | None = None,
        most_failures: int = MOST_FAILURES,
    ) -> None:
        """Create a supervisor that keeps no service yet; see `bring_up` and `run`.

        Args:
            launch: returns how to start a replica, given its service and slot.
            on_change: called when the set of replicas that can serve may have changed.
            loops: runs the tasks and reports their failures.
            most_failures: consecutive errors after which the restart loop gives up.
        """
        self._services = services
        self._platform = platform
        self._observed = observed
        self._feed = feed
        self._launch = launch
        self._on_change = on_change
        self._rules = rules or Rules()
        self._clock = clock
        self._loops = loops or Loops(clock=clock)
        self._most_failures = most_failures
        self._restart_log = RestartLog(observed, feed, self._rules.restart, clock, disk_is_full)
        self._watchdog = Watchdog(services, platform, prober, observed, on_change, self._rules, clock)
        self._wake = asyncio.Event()
        self._watch_tasks = WatchTasks(self._loops, self._guard, self._wake.set)
        self._slots = Slots(services, platform)
        self._starting: dict[str, float] = {}
        """Slot → time at which its start began."""
        self._ends = Ends(
            platform, observed, feed, self._restart_log, self._loops, self._starting, on_change, on_end=self._wake.set
        )
        self._adoptions = Adoptions(
            platform, feed, self._restart_log, self._watchdog, self._watch_tasks, self._ends, self._clock
        )
        self._drains = Drains(
            services,
            platform,
            observed,
            feed,
            self._slots,
            self._loops,
            fill=lambda service, slot: self._fill(service, slot),
            spawn=self._spawn,
            on_change=on_change,
            on_gone=self._wake.set,
        )
        self._kept: set[str] = set()
        """Services whose empty slots are filled again."""
        self._keeping: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        platform.exits.callbacks.append(self._ends.record)

    async def bring_up(self, service: str) -> None:
        """Fill the slots of the service, first with adopted replicas, and keep them filled from now on.

        Returns when all replicas are ready. Raises: StartError with the reason of the first slot that failed.
        """
        try:
            await self._fill_all(service)
        finally:
            self._keep(service)

    async def _fill_all(self, service: str) -> None:
        settings = self._services[service]
        running, leaving = self._slots.take_up(service), self._slots.going(service)
        alive = {r.id for r in self._platform.replicas() if r.service == service}
        slots = self._slots.of(service)
        while len(slots - leaving) < self._observed.desired[service]:
            self._slots.add(service)
        self._observed.keep_failures(service, slots)
        if any(replica.adopted for replica in self._platform.replicas()):
            # A fleet of which no replica was left alive starts with fresh counts.
            self._restart_log.recall(slots, alive)
        surplus = self._drains.surplus(service, running)
        for replica in surplus:
            self._drains.begin(replica, "surplus: more replicas run than are desired")
        adopted = [replica for replica in running if replica not in surplus]
        results = await asyncio.gather(
            *(self._adoptions.until_ready(replica, settings.start_timeout_s) for replica in adopted),
            *(self._fill(service, slot) for slot in slots - alive - leaving),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def run(self) -> None:
        """Keep every service up, including services whose start was not tried. Return when closed.

        Raises: the last error, when the restart loop failed `most_failures` times in a row.
        """
        await asyncio.gather(*(self._keep(service) for service in self._services))

    def keeps(self, service: str) -> bool:
        """Return whether the start of the service is over, successful or not.

        Until then, only an operator changes its number of replicas.
        """
        return service in self._kept

    def _keep(self, service: str) -> asyncio.Task[None]:
        self._kept.add(service)
        self._wake.set()
        if self._keeping is None or self._keeping.done():
            self._keeping = self._loops.start("restarts", self._restart_what_is_due, most_failures=self._most_failures)
        return self._keeping

    async def _restart_what_is_due(self) -> None:
        while not self._closed:
            self._wake.clear()
            due_in_s = self._reconcile()
            try:
                async with asyncio.timeout(due_in_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _reconcile(self) -> float | None:
        """Start to fill every slot that is empty and due, and watch every replica that is not watched.

        Returns: seconds until the next slot is due; None when no slot waits.
        """
        replicas = self._platform.replicas()
        waits = []
        for service in sorted(self._kept):
            try:
                waits += self._reconcile_service(service, [r for r in replicas if r.service == service])
            except Exception as error:  # an error in one service must not stop the restarts of others
                waits.append(self._loops.failed(f"restarts of {service}", error))
        return max(0.01, min(waits)) if waits else None

    def _reconcile_service(self, service: str, replicas: Sequence[Replica]) -> list[float]:
        """Reconcile one service. Returns: seconds until each slot that waits is due, in any order."""
        slots, alive = self._slots.of(service), {replica.id for replica in replicas}
        for replica in replicas:
            if replica.id in slots and not self._is_on_its_way(replica.id):
                self._watch_tasks.ensure(replica)
        while len(slots) < self._observed.desired[service]:
            self._slots.add(service)
        began_s = [self._starting[slot] for slot in slots & self._starting.keys()]
        places = free_places(began_s, self._clock(), self._platform.capacity().cores)
        waits = []
        for slot in sorted(slots - alive - self._starting.keys(), key=number_of):
            state = self._restart_log.of(slot)
            if not state.is_due(self._clock()):
                waits.append(state.due_s - self._clock())
            elif state == NEVER_TRIED and self._missing(service):
                waits.append(self._rules.probe_interval_s)
            elif places <= 0:
                waits.append(PLACE_S)
            else:
                places -= 1
                self._starting[slot] = self._clock()
                self._spawn(self._refill(service, slot))
        return waits

    def _is_on_its_way(self, replica_id: str) -> bool:
        """Return whether the replica is starting or leaving, so that an unanswered probe means nothing."""
        coming = replica_id in self._starting or replica_id in self._adoptions.waiting
        return coming or replica_id in self._slots.leaving or replica_id in self._observed.draining

    def _missing(self, service: str) -> list[str]:
        """Return the required services of which no replica is ready."""
        return [d for d in self._services[service].requires if not self._observed.is_served(d)]

    async def _refill(self, service: str, slot: str) -> None:
        try:
            await self._fill(service, slot)
        except ArgosyError as error:
            log.warning("replica not started", slot=slot, reason=error.message)
        except Exception as error:
            self._loops.failed(f"start of {slot}", error)
        finally:
            self._starting.pop(slot, None)  # a slot that stays in `_starting` is never filled again
            self._wake.set()

    async def _fill(self, service: str, slot: str) -> None:
        """Start a replica in the slot and wait until it is ready.

        Raises: StartError when it ends or is not ready in time. The failure is counted, and the replica is stopped.
        """
        self._starting[slot] = self._clock()
        timeout_s = self._services[service].start_timeout_s
        until_s = self._clock() + timeout_s
        try:
            self._restart_log.begins(slot)
            replica = await self._platform.start(self._launch(service, slot))
            await self._platform.listening(replica, timeout_s)
            await self._watchdog.until_ready(replica, until_s)
        except Exception as error:
            reason = self._why_not_started(slot, error)
            try:
                await self._platform.stop(slot, HUNG_GRACE_S)
            except Exception as unstopped:  # count the failure all the same, or the slot is never retried
                self._loops.failed(f"start of {slot}", unstopped)
            if slot in self._slots.of(service):
                self._restart_log.failed(service, slot, "starting", reason)
            raise StartError(reason) from error
        finally:
            self._starting.pop(slot, None)
            self._wake.set()
        self._restart_log.succeeded(slot)
        self._observed.cold_start_s[service] = self._clock() - (until_s - timeout_s)
        self._observed.recovered(service, slot)
        self._feed.add("replica", slot, "starting", "ready", f"pid {replica.pid}")
        if slot in self._slots.of(service):
            self._watch_tasks.ensure(replica)
        else:
            self._drains.begin(replica, "no longer desired")

    def _why_not_started(self, slot: str, error: Exception) -> str:
        if isinstance(error, ArgosyError):
            return error.message
        if isinstance(error, OSError):
            return f"{slot} could not be started: {error}."
        self._loops.failed(f"start of {slot}", error)
        return f"{slot} could not be started: {type(error).__name__}; see the controller's log."

    async def _guard(self, replica: Replica) -> None:
        reason = await self._watchdog.watch(replica)
        if reason is not None:
            await self._ends.end(replica, reason)

    def scale(self, service: str, replicas: int, why: str) -> None:
        """Set the desired replica count: start missing replicas, drain surplus ones. Return before that is done.

        Empty slots go first, then replicas that are not ready, then the replicas with the fewest requests in flight.
        """
        self._observed.desired[service] = replicas
        slots, leaving = self._slots.of(service), self._slots.leaving
        running = {r.id: r for r in self._platform.replicas() if r.service == service}
        if not self.keeps(service):  # the start of the service may not have reached its adopted replicas
            self._slots.take_up(service)
        surplus = len(slots - leaving) - replicas
        for slot in sorted(slots - leaving, key=lambda slot: self._drains.loss(slot, running))[: max(0, surplus)]:
            if slot in running:
                self._drains.begin(running[slot], why)
            else:
                slots.discard(slot)
                self._restart_log.forget(slot)
                self._observed.recovered(service, slot)
        for _ in range(-surplus):
            self._observed.growing[service].add(self._slots.add(service))
        self._wake.set()

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended_task)
        return task

    def _ended_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._loops.failed("supervision", error)
            self._wake.set()

    async def drain(self, replica_id: str) -> None:
        """Replace a replica without a failed request; see `Drains.replace`.

        Raises: NotFound; Conflict; StartError when the replacement does not start.
        """
        await self._drains.replace(replica_id)

    async def close(self) -> None:
        """Stop supervising: start and watch no more replicas. Running replicas stay alive."""
        self._closed = True
        self._wake.set()
        await self._watch_tasks.close()
        tasks = [*self._tasks, *([] if self._keeping is None else [self._keeping])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
