"""Reader of probes and platform measurements into observations. It keeps one meter per replica."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from argosy.config.service import ServiceSettings
from argosy.control.monitoring.observed import Observed
from argosy.control.observation import Observation
from argosy.control.platforms.platform import Platform, Replica
from argosy.control.scaling.limits import Host
from argosy.control.scaling.metering import Meter, combined, recorded


class Reader:
    def __init__(
        self, services: Mapping[str, ServiceSettings], platform: Platform, observed: Observed, probe_interval_s: float
    ) -> None:
        self._services = services
        self._platform = platform
        self._observed = observed
        self._window_s = probe_interval_s
        self._meters: dict[str, Meter] = {}

    def look(self, now_s: float, wall_s: float) -> None:
        """Read every replica.

        Raises: the first error, after all replicas were read. Meters of replicas that could not be read become stale.
        """
        replicas = [replica for replica in self._platform.replicas() if not replica.external]
        meters, errors = {}, []
        for replica in replicas:
            try:
                meters[replica.id] = self._next(replica, now_s, wall_s)
            except Exception as error:
                meters[replica.id] = self._meters.get(replica.id, Meter())
                errors.append(error)
        self._meters = meters
        if errors:
            raise errors[0]

    def _next(self, replica: Replica, now_s: float, wall_s: float) -> Meter:
        meter, health = self._meters.get(replica.id, Meter()), self._observed.health(replica.id)
        usage = self._platform.usage(replica.id)
        at_s, load = wall_s, None
        if replica.health_path is not None or health.last_answer is None or health.last_check is None:
            at_s = health.last_check or 0.0
        elif health.bad and math.isfinite(meter.at_s):
            # The replica did not answer: keep its previous load report and the time of that report.
            at_s, load = meter.at_s, meter.load
        else:
            at_s, load = health.last_check, health.last_answer.load
        cpu_s, memory_bytes = (usage.cpu_s, usage.memory_bytes) if usage is not None else (None, None)
        if not self._observed.is_ready(replica):
            cpu_s = None  # the CPU time of a start says nothing about later work
        return meter.next(Meter(replica.pid, at_s, load, cpu_s, now_s, memory_bytes))

    def service(self, name: str, wall_s: float, stale_s: float) -> Observation:
        """Return the service as the last look found it. A cold start of NaN means that none was seen so far."""
        capacity, settings, serving = self._platform.capacity(), self._services[name], self._serving(name)
        return combined(
            [self._meters.get(replica.id, Meter()) for replica in serving],
            replicas=self._observed.desired[name],
            now_s=wall_s,
            stale_s=stale_s,
            window_s=self._window_s,
            cores_per_replica=settings.cores_of_one(capacity.cores / max(1, len(serving))),
            memory_limit_bytes=settings.memory_limit_bytes or capacity.memory_bytes,
            cold_start_s=self._observed.cold_start_s.get(name, math.nan),
        )

    def each(self, name: str, wall_s: float, stale_s: float) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield the measurements of each ready replica of the service: its id, and its values by series name."""
        serving, capacity = self._serving(name), self._platform.capacity()
        settings = self._services[name]
        cores = settings.cores_of_one(capacity.cores / max(1, len(serving)))
        memory_bytes = settings.memory_limit_bytes or capacity.memory_bytes
        for replica in serving:
            meter = self._meters.get(replica.id)
            if meter is not None and meter.is_known(wall_s, stale_s):
                yield replica.id, recorded(meter, cores, memory_bytes)

    def host(self, name: str) -> Host:
        """Return the use of the host, and the average needs of one replica of this service.

        The use includes that of desired replicas. A replica that has just started is assumed to use as much as the
        others of its service.
        """
        capacity, mine = self._platform.capacity(), self._metered(name)
        each, serving = _mean_cores(mine.values()), sum(replica.id in mine for replica in self._serving(name))
        others = sum(meter.cpu_cores or 0.0 for key, meter in self._meters.items() if key not in mine)
        coming = [self._coming(service) for service in self._services]
        return Host(
            cores=capacity.cores,
            cores_used=others + each * serving + sum(cores for cores, _ in coming),
            memory_bytes=capacity.memory_bytes,
            memory_used_bytes=sum(map(_memory, self._meters.values())) + sum(size for _, size in coming),
            replica_cores=each,
            replica_memory_bytes=max(map(_memory, mine.values()), default=0),
        )

    def _coming(self, name: str) -> tuple[float, int]:
        """Return the cores and bytes that desired replicas will take once they are ready, beyond their present use.

        Replicas that fail to start count as zero, because they must not keep other services from growing.
        """
        if self._observed.failure(name):
            return 0.0, 0
        metered, serving = self._metered(name), {replica.id for replica in self._serving(name)}
        coming = max(0, self._observed.desired[name] - len(serving))
        begun = sum(_memory(meter) for key, meter in metered.items() if key not in serving)
        size = max(map(_memory, metered.values()), default=0)
        return coming * _mean_cores(metered.values()), max(0, coming * size - begun)

    def _metered(self, name: str) -> dict[str, Meter]:
        return {replica.id: self._meters[replica.id] for replica in self._of(name) if replica.id in self._meters}

    def _serving(self, name: str) -> list[Replica]:
        return [replica for replica in self._of(name) if self._observed.is_ready(replica)]

    def _of(self, name: str) -> list[Replica]:
        replicas = self._platform.replicas()
        return [r for r in replicas if r.service == name and r.id not in self._observed.draining]


def _mean_cores(meters: Iterable[Meter]) -> float:
    cores = [meter.cpu_cores for meter in meters if meter.cpu_cores is not None]
    return sum(cores) / len(cores) if cores else 0.0


def _memory(meter: Meter) -> int:
    return meter.memory_bytes or 0
