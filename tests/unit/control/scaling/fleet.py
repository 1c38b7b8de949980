"""Service on a platform without processes, under a clock that the test moves: supervisor, probes and scaler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from argosy.config.scaling import ScalingSettings, SloSettings
from argosy.config.service import CustomSettings, Replicas, ServiceSettings
from argosy.contracts.errors import StartError
from argosy.contracts.fleet import Health, Load, ReplicaStatus
from argosy.contracts.scaling import DecisionRecord
from argosy.control.events.feed import Feed
from argosy.control.health.replica import Probe
from argosy.control.history.history import History
from argosy.control.monitoring.observed import Observed
from argosy.control.monitoring.prober import Prober
from argosy.control.platforms.fake import FakePlatform
from argosy.control.platforms.platform import Launch, Replica, Usage
from argosy.control.scaling.reader import Reader
from argosy.control.scaling.scaler import Scaler
from argosy.control.supervision import drains as supervision
from argosy.control.supervision.supervisor import Supervisor

SERVICE = "gateway"
"""Service under test. It is the gateway, because a fleet without a gateway has no health."""
INTERVAL_S = 2.0


class Time:
    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Host(FakePlatform):
    """Platform whose replicas use the resources that the test sets. After `starts` more starts, starting fails."""

    def __init__(self, survivors: tuple[Replica, ...] = (), cores: float = 64) -> None:
        super().__init__(survivors=survivors, cores=cores)
        self.starts = 10**6
        self.replica_cores = 0.1
        self.memory_bytes = 2**20
        self.clock: Time = Time()
        self.slow_spawn = self.slow_start = self.slow_drain = False
        self.spawned, self.started, self.drained = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def start(self, launch: Launch) -> Replica:
        if self.slow_spawn:
            await self.spawned.wait()
        return await super().start(launch)

    async def stop(self, replica_id: str, grace_s: float) -> None:
        if self.slow_drain:
            await self.drained.wait()
        await super().stop(replica_id, grace_s)

    async def listening(self, replica: Replica, timeout_s: float) -> None:
        if self.slow_start:
            await self.started.wait()
        if replica.id not in self._replicas:
            raise StartError("stopped before it listened")
        if self.starts <= 0:
            self._replicas.pop(replica.id, None)
            raise StartError("no GPU left")
        self.starts -= 1
        await super().listening(replica, timeout_s)

    def usage(self, replica_id: str) -> Usage | None:
        return Usage(self.clock() * self.replica_cores, self.memory_bytes) if replica_id in self._replicas else None


class ScriptedProber(Prober):
    """Prober to which replicas answer with the test's `load`. Traffic is spread evenly over the replicas."""

    def __init__(self, wall: Time) -> None:
        super().__init__("token", 1.0)
        self._wall = wall
        self.loads: dict[str, Load] = {}
        self.silent = False

    async def probe(self, replica: Replica) -> Probe:
        if self.silent:
            return Probe(self._wall(), error="no answer")
        load = self.loads.get(replica.id, Load())
        status = ReplicaStatus(
            SERVICE, replica.id, "r1", replica.pid or 0, True, False, Health.HEALTHY, "", 1.0, "1.1", load
        )
        return Probe(self._wall(), 1.0, status)


PRESENT_LOAD_ONLY = SloSettings(share=0.5)
"""SLO under which recurring load needs no more replicas than the present load."""


class Rig:
    """Parts of a controller that scaling uses."""

    def __init__(
        self, folder: Path, scaling: ScalingSettings, host: Host, clock: Time, most: int, boot_s: float
    ) -> None:
        def monotonic() -> float:
            return clock() - boot_s

        self.clock, self.host = clock, host
        host.clock = clock
        services: dict[str, ServiceSettings] = {
            SERVICE: CustomSettings(
                module="acme:app", replicas=Replicas(min=1, max=most), scaling=scaling, slo=PRESENT_LOAD_ONLY
            )
        }
        self.history = History(folder)
        self.feed = Feed(self.history, clock)
        self.observed = Observed(services, [[SERVICE]], 0.0, self.feed)
        self.prober = ScriptedProber(clock)
        self.supervisor = Supervisor(
            services,
            host,
            self.prober,
            self.observed,
            self.feed,
            lambda service, slot: Launch(service, slot, "r1", 1.0),
            lambda: None,
            clock=monotonic,
        )
        self.scaler = Scaler(
            services,
            Reader(services, host, self.observed, INTERVAL_S),
            self.observed,
            self.supervisor,
            self.feed,
            self.history,
            interval_s=INTERVAL_S,
            clock=monotonic,
            wall=clock,
        )

    async def start(self) -> None:
        adopted = await self.host.adopt()
        await self._probe()
        self.scaler.restore({replica.service for replica in adopted})
        await self.supervisor.bring_up(SERVICE)

    async def pass_time(self, seconds: float, in_flight: float = 0.0, rate: float = 0.0, failing: float = 0.0) -> None:
        """Advance the clock with traffic of `rate` requests/s and `in_flight` requests, and tick every 2 s."""
        for _ in range(max(1, round(seconds / INTERVAL_S))):
            self.clock.now_s += INTERVAL_S
            running = self.running
            for replica_id in running:
                before, count = self.prober.loads.get(replica_id, Load()), len(running)
                self.prober.loads[replica_id] = Load(
                    in_flight=round(in_flight / count),
                    requests=before.requests + round(rate * INTERVAL_S / count),
                    errors=before.errors + round(failing * rate * INTERVAL_S / count),
                    latency_ms=100,
                )
            await self._probe()
            self.scaler.tick()
            await settle()

    async def _probe(self) -> None:
        for replica in self.host.replicas():
            if replica.url is None:  # the replica is not listening yet
                continue
            self.observed.saw(replica.id, await self.prober.probe(replica))

    @property
    def running(self) -> list[str]:
        return sorted(r.id for r in self.host.replicas() if r.id not in self.observed.draining)

    @property
    def last(self) -> DecisionRecord:
        return self.scaler.view(SERVICE).decisions[0]


async def settle() -> None:
    """Let tasks run until none has work to do at once."""
    for _ in range(60):
        await asyncio.sleep(0)


@asynccontextmanager
async def rig(
    folder: Path,
    scaling: ScalingSettings,
    *,
    host: Host | None = None,
    clock: Time | None = None,
    most: int = 10,
    boot_s: float = 0.0,
) -> AsyncIterator[Rig]:
    """Yield a rig. `boot_s` is the wall time at which the monotonic clock begins."""
    made = Rig(folder, scaling, host or Host(), clock or Time(), most, boot_s)
    notice_s, supervision.DRAIN_NOTICE_S = supervision.DRAIN_NOTICE_S, 0.0
    try:
        await made.start()
        yield made
    finally:
        supervision.DRAIN_NOTICE_S = notice_s
        await made.supervisor.close()
        made.history.close()
