"""Predictor of a fleet: an outlook for each service, their history in `control.db`, and the loop that fits."""

from __future__ import annotations

import asyncio
import collections
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from argosy.config.service import ServiceSettings
from argosy.contracts.errors import NotFound
from argosy.contracts.forecast import ForecastPage
from argosy.contracts.history import HistoryPage
from argosy.contracts.request import Clock
from argosy.control.history.arrays import Floats
from argosy.control.history.history import History
from argosy.control.history.measures import COARSE_S, TICK_S, history_of, points_of, replica_series
from argosy.control.history.series import Series
from argosy.control.observation import Capacity, Forecast, Observation
from argosy.control.prediction.binning import Bins
from argosy.control.prediction.capacity import CapacityFit
from argosy.control.prediction.disk_thread import DiskThread
from argosy.control.prediction.fitting import Fitter
from argosy.control.prediction.outlook import Outlook
from argosy.control.prediction.report import days_of, fleet_saturation, service_view
from argosy.telemetry.logs import logger

FIT_EVERY_S = 600.0
SAVE_EVERY_S = 120.0
MOST_LATE = 600
"""Number of observations that are buffered while the history is restored. The oldest are dropped first."""
RESTORING = "restoring the history that earlier controllers recorded"

log = logger("prediction")


class Forecaster:
    """Predictor whose disk work is done in a separate thread. The loop's data is replaced in one step.

    There is no forecast until the history is restored (`restore`, the first step of `run`); observations are buffered
    until then. Wall time is the wall time at the start plus the elapsed monotonic time, so steps of the wall clock have
    no effect.
    """

    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        history: History,
        series: Series,
        *,
        clock: Clock = time.monotonic,
        wall: Callable[[], float] = time.time,
        fitter: Callable[[], Fitter] = Fitter,
        on_failed: Callable[[Exception], object] = lambda error: None,
    ) -> None:
        """Create a predictor. `on_failed` is called with the error of every failed fit and failed write."""
        self._services = services
        self._data_dir = history.folder
        self._history = history
        self._series = series
        self._clock = clock
        self._ahead_s = wall() - clock()
        self._fitter = fitter
        self._on_failed = on_failed
        self._disk = DiskThread()
        self._restored = False
        self._late: collections.deque[tuple[str, Observation, float]] = collections.deque(maxlen=MOST_LATE)
        self._pending: dict[tuple[int, int], dict[str, float]] = {}
        self._outlooks = {name: self._new_outlook(name) for name in services}
        self._ticks: dict[str, Bins] = {}
        """Bins of replicas, by the prefix of their series names.

        Replica ids are places that are reused, so the number is bounded.
        """
        self._saved_s = clock()

    async def restore(self) -> None:
        """Restore what earlier controllers recorded and learnt. Raises nothing, because it can be learnt again."""
        wall_s = self._wall_s(self._clock())
        self._outlooks = await self._disk.do(lambda: {name: self._recalled(name, wall_s) for name in self._services})
        self._restored = True
        while self._late:
            self.observe(*self._late.popleft())

    def _recalled(self, name: str, wall_s: float) -> Outlook:
        """Restore one outlook, in the disk thread. Touches nothing that the loop reads."""
        outlook = self._new_outlook(name)
        try:
            kept = self._history.recall(_key(name))
            outlook.restore(None if kept is None else kept[1], self._series, wall_s)
        except Exception as error:
            log.warning("forecast state not restored", forecast=name, reason=str(error))
        return outlook

    def _new_outlook(self, name: str) -> Outlook:
        return Outlook(name, self._services[name].scaling.slots, self._record)

    def observe(self, service: str, seen: Observation, now_s: float) -> None:
        if not self._restored:
            self._late.append((service, seen, now_s))
            return
        self._outlooks[service].observe(seen, self._wall_s(now_s))

    def observe_replica(self, service: str, replica: str, values: Mapping[str, float], now_s: float) -> None:
        """Record the values of a replica. Replicas have no forecast."""
        prefix = replica_series(service, replica)
        bins = self._ticks.get(prefix)
        if bins is None:
            bins = self._ticks[prefix] = Bins(TICK_S)
        tick = bins.add(self._wall_s(now_s), values)
        if tick is not None:
            self._record(TICK_S, tick[0], {f"{prefix}{name}": value for name, value in tick[1].items()})

    def forecast(self, service: str, now_s: float) -> Forecast | None:
        return self._outlooks[service].forecast(self._wall_s(now_s))

    def capacity(self, service: str) -> Capacity | None:
        return self._outlooks[service].capacity()

    def cold_start_s(self, service: str) -> float | None:
        starts = self._outlooks[service].cold_starts
        return starts.planned_s if starts.seen_s else None

    def fitted(self, service: str) -> CapacityFit:
        """Return the capacity fit, even when it is not good enough to be used."""
        return self._outlooks[service].fitted

    async def run(self) -> None:
        """Restore the history, then write completed ticks and fit, until cancelled."""
        if not self._restored:
            await self.restore()
        fitted_s = self._clock() - FIT_EVERY_S + SAVE_EVERY_S
        while True:
            await asyncio.sleep(TICK_S / 3)
            await self.write()
            if self._clock() - fitted_s >= FIT_EVERY_S:
                fitted_s = self._clock()
                await self.fit()

    async def write(self) -> None:
        """Write completed ticks to the history. Never raises: a full disk must not stop prediction."""
        kept: dict[str, bytes] = {}
        if self._clock() - self._saved_s >= SAVE_EVERY_S:
            self._saved_s = self._clock()
            kept = self._memories()
        ticks, wall_s = self._taken(), self._wall_s(self._clock())
        if ticks or kept:
            error = await self._disk.do(lambda: self._put(ticks, kept, wall_s))
            if error is not None:
                self._on_failed(error)

    async def fit(self) -> None:
        """Run one round of fits over all services that have data to fit. Never raises."""
        try:
            used, index = await self._disk.do(lambda: _measured(self._data_dir))
            number = int(self._wall_s(self._clock()) // COARSE_S)
            self._record(COARSE_S, number, {"fleet/disk_bytes": used, "fleet/index_bytes": index})
            async with self._fitter() as fitter:
                for outlook in self._outlooks.values():
                    request = outlook.fit_request()
                    reply = await fitter.fit(request) if request.minutes else None
                    if reply is not None:
                        outlook.take(reply)
        except Exception as error:
            log.error("fitting round failed", exc_info=error)
            self._on_failed(error)

    async def view(self, service: str | None = None) -> ForecastPage:
        """Return the forecasts of one service or of all.

        Raises: NotFound when there is no such service; Unavailable when the history is closed.
        """
        if service is not None:
            self._check(service)
        wall_s = self._wall_s(self._clock())
        shown = list(self._services) if service is None else [service]
        days, fleet = await self._disk.do(
            lambda: (
                {name: days_of(self._series, name, wall_s) for name in shown},
                fleet_saturation(self._series, self._data_dir, wall_s),
            )
        )
        views = []
        for name in shown:
            view = service_view(self._outlooks[name], self._services[name].replicas.max, days[name], wall_s)
            state = view.state if self._restored else RESTORING
            views.append(msgspec.structs.replace(view, state=state))
        return ForecastPage(views, fleet)

    async def past(self, service: str, window_s: int, measure: str | None) -> HistoryPage:
        """Return the recorded history of a service.

        Raises: NotFound when there is no such service; InvalidRequest when the window or measure is wrong; Unavailable
        when the history is closed.
        """
        self._check(service)
        wall_s = self._wall_s(self._clock())
        return await self._disk.do(lambda: history_of(self._series, service, window_s, measure, wall_s))

    async def ticks(self, service: str, measures: Collection[str], window_s: int) -> dict[str, Floats]:
        """Return the recorded ticks of the last `window_s`, NaN where nothing was recorded.

        Raises: Unavailable when the history is closed.
        """
        last = int(self._wall_s(self._clock()) // TICK_S) - 1
        first = last - window_s // TICK_S + 1
        return await self._disk.do(
            lambda: {name: points_of(self._series, f"{service}/{name}", TICK_S, first, last) for name in measures}
        )

    def _check(self, service: str) -> None:
        if service not in self._outlooks:
            raise NotFound(f'There is no service "{service[:64]}"; choose one of {", ".join(self._outlooks)}.')

    async def close(self) -> None:
        """Write all data after the writes already submitted, then close the history. Never raises."""
        ticks, kept, wall_s = self._taken(), self._memories(), self._wall_s(self._clock())

        def last() -> None:
            self._put(ticks, kept, wall_s)
            self._series.close()

        await self._disk.close(last)

    def _record(self, step_s: int, number: int, values: Mapping[str, float]) -> None:
        """Queue values of a tick, so that the values of all services are written together."""
        self._pending.setdefault((step_s, number), {}).update(values)

    def _taken(self) -> Sequence[tuple[tuple[int, int], dict[str, float]]]:
        pending, self._pending = self._pending, {}
        return sorted(pending.items())

    def _memories(self) -> dict[str, bytes]:
        """Return the state to save.

        Returns nothing before the history is restored, so that learnt state is not overwritten.
        """
        if not self._restored:
            return {}
        return {_key(name): outlook.memory() for name, outlook in self._outlooks.items()}

    def _put(
        self, ticks: Sequence[tuple[tuple[int, int], dict[str, float]]], kept: Mapping[str, bytes], wall_s: float
    ) -> Exception | None:
        """Write ticks and state, in the disk thread, and return the error if one occurred. Never raises."""
        try:
            for (step_s, number), values in ticks:
                self._series.record(step_s, number, values)
            for name, memory in kept.items():
                self._history.remember(name, wall_s, memory)
        except Exception as error:
            log.error("writing the history failed", reason=str(error))
            return error
        return None

    def _wall_s(self, now_s: float) -> float:
        return now_s + self._ahead_s


def _measured(data_dir: Path) -> tuple[float, float]:
    """Return the bytes used on the disk, and the bytes used by the index."""
    used = shutil.disk_usage(data_dir).used
    index = sum(f.stat().st_size for f in (data_dir / "shards").glob("**/*") if f.is_file())
    return float(used), float(index)


def _key(service: str) -> str:
    return f"prediction/{service}"
