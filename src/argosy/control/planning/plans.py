"""Data that the controller has for plans: calibrations in `control.db`, the fitted capacity, and running replicas."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec
import psutil

from argosy.config.service import CustomSettings, ServiceSettings
from argosy.config.services import EmbeddingSettings
from argosy.contracts.errors import InvalidRequest, NotFound
from argosy.contracts.plan import ASKABLE, QUANTILES, Calibration, LoadStep, PlanPage, PlanRequest, UsageView
from argosy.control.history.history import History
from argosy.control.planning.planner import PlannedService, planned
from argosy.control.planning.throughput import Cores
from argosy.control.platforms import cgroup
from argosy.control.platforms.platform import Platform
from argosy.control.prediction.forecaster import Forecaster
from argosy.control.scaling.scaler import Scaler
from argosy.telemetry.logs import logger

MOST_STEPS = 200
MOST_RPS = 1e6
MOST_MS = 3_600_000.0
KEPT_NUMBERS = 8
"""Number of replica counts whose latest calibration is kept."""

log = logger("planning")


class Plans:
    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        platform: Platform,
        scaler: Scaler,
        forecaster: Forecaster,
        history: History,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._services = services
        self._platform = platform
        self._scaler = scaler
        self._forecaster = forecaster
        self._history = history
        self._wall = wall

    def plan(self, request: PlanRequest) -> PlanPage:
        """Return the plan of one service or of all.

        Raises: InvalidRequest when a number is out of range; NotFound when there is no such service.
        """
        if not 0 < request.rps <= MOST_RPS:
            raise InvalidRequest(f"rps = {request.rps:g} is not between 0 and {MOST_RPS:g}; correct it.", param="rps")
        if request.p95_ms is not None and not 0 < request.p95_ms <= MOST_MS:
            raise InvalidRequest(
                f"p95_ms = {request.p95_ms:g} is not between 0 and {MOST_MS:g}; correct it.", param="p95_ms"
            )
        if request.service is not None:
            self._known_name(request.service)
        names = [request.service] if request.service is not None else list(self._services)
        views = [planned(self._known(name), request.rps, request.p95_ms, self._wall()) for name in names]
        if request.service is None and any(not view.state for view in views):
            views = [view for view in views if not view.state]
        return PlanPage(views)

    def calibrated(self, name: str, calibration: Calibration) -> None:
        """Store the result of a load test.

        Raises: InvalidRequest when its values are impossible; NotFound when there is no such service.
        """
        self._known_name(name)
        steps = calibration.steps
        if not 0 < len(steps) <= MOST_STEPS or not all(map(_possible, steps)) or len({s.replicas for s in steps}) > 1:
            raise InvalidRequest(
                "The calibration has no steps, too many, impossible values, or several numbers of replicas; send what "
                "argosy plan --calibrate measured.",
                param="steps",
            )
        others = [c for c in self._calibrations(name) if c.steps[0].replicas != steps[0].replicas]
        kept = [msgspec.structs.replace(calibration, at=self._wall()), *others][:KEPT_NUMBERS]
        self._history.remember(_key(name), self._wall(), msgspec.msgpack.encode(kept))

    def usage(self) -> UsageView:
        """Return the CPU time used so far, by the machine and by each service."""
        cpu_s: dict[str, float] = {}
        pids = []
        for replica in self._platform.replicas():
            used = self._platform.usage(replica.id)
            if used is not None and replica.pid is not None:
                cpu_s[replica.service] = cpu_s.get(replica.service, 0.0) + used.cpu_s
                pids.append(replica.pid)
        return UsageView(self._platform.capacity().cores, _busy_s(), cpu_s, sorted(pids))

    def _known(self, name: str) -> PlannedService:
        scaling = self._scaler.view(name)
        return PlannedService(
            name,
            scaling.current_instances,
            scaling.min_instances,
            scaling.max_instances,
            self._services[name].scaling.slots,
            self._forecaster.fitted(name),
            self._calibrations(name),
            self._cores(),
            name in ASKABLE or isinstance(self._services[name], CustomSettings),
            scaling.fixed,
        )

    def _cores(self) -> Cores:
        logical = self._platform.capacity().cores
        running = {name: self._scaler.view(name).current_instances for name in self._services}
        threads = {
            name: settings.cores_of_one(logical / running[name])
            for name, settings in self._services.items()
            if isinstance(settings, EmbeddingSettings)
        }
        physical = psutil.cpu_count(logical=False)
        return Cores(logical, None if physical is None else min(physical, max(1, round(logical))), threads, running)

    def _calibrations(self, name: str) -> list[Calibration]:
        kept = self._history.recall(_key(name))
        if kept is None:
            return []
        try:
            return msgspec.msgpack.decode(kept[1], type=list[Calibration])
        except msgspec.DecodeError as error:
            log.warning("calibration of another version ignored", calibrated=name, reason=str(error))
            return []

    def _known_name(self, name: str) -> None:
        if name not in self._services:
            raise NotFound(f'There is no service "{name[:64]}"; choose one of {", ".join(self._services)}.')


def _possible(step: LoadStep) -> bool:
    numbers = [step.rate_rps, step.mean_ms, *step.latency_ms, *(step.p95_ms or ()), *step.cpu_s.values()]
    return (
        step.replicas >= 1
        and 0 < step.seconds < 3600
        and min(step.answered, step.refused, step.failed) >= 0
        and all(0 <= number < 1e9 for number in numbers)
        and len(step.latency_ms) in (0, len(QUANTILES))
        and (step.p95_ms is None or 0 < step.p95_ms[0] <= step.p95_ms[1] <= step.p95_ms[2])
    )


def _key(service: str) -> str:
    return f"calibration/{service}"


def _busy_s() -> float:
    """Return the CPU time used so far by everything that shares the cores.

    It is that of the container when the container has a limit, else that of the machine.
    """
    cores, _ = cgroup.limits()
    used_s = None if cores is None else cgroup.busy_s()
    if used_s is not None:
        return used_s
    times = psutil.cpu_times()
    return float(sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq", "steal")))
