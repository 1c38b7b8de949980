"""The predictor of a fleet: an outlook for each service, its history in `control.db`, and the loop that fits."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping

from argosy.config.models import ServiceSettings
from argosy.contracts.errors import NotFound
from argosy.contracts.forecast import ForecastPage
from argosy.contracts.request import Clock
from argosy.control.history import History
from argosy.control.prediction.fitting import Fitter
from argosy.control.prediction.outlook import COARSE_S, TICK_S, Outlook
from argosy.control.prediction.report import fleet_saturation, service_view
from argosy.control.prediction.series import Series
from argosy.control.scaling.decision import Tuning
from argosy.control.scaling.observation import Capacity, Forecast, Observation
from argosy.telemetry.logs import logger

FIT_EVERY_S = 600.0
SAVE_EVERY_S = 120.0

log = logger("prediction")


class Forecaster:
    """Wall time is the monotonic clock laid on the wall time of the start: steps of the wall clock move nothing."""

    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        history: History,
        series: Series,
        *,
        clock: Clock = time.monotonic,
        wall: Callable[[], float] = time.time,
        fitter: Callable[[], Fitter] = Fitter,
    ) -> None:
        self._services = services
        self._data_dir = history.folder
        self._history = history
        self._series = series
        self._clock = clock
        self._ahead_s = wall() - clock()
        self._fitter = fitter
        self._pending: dict[tuple[int, int], dict[str, float]] = {}
        self._outlooks = {
            name: Outlook(name, settings.scaling.slots, self._record) for name, settings in services.items()
        }
        self._saved_s = clock()

    def restore(self) -> None:
        """Takes up what earlier controllers recorded and learnt. Raises nothing: it can be learnt again."""
        for name, outlook in self._outlooks.items():
            try:
                kept = self._history.recall(_key(name))
                outlook.restore(None if kept is None else kept[1], self._series, self._wall_s(self._clock()))
            except Exception as error:
                log.warning("not restored", forecast=name, reason=str(error))

    def observe(self, service: str, seen: Observation, now_s: float) -> None:
        self._outlooks[service].observe(seen, self._wall_s(now_s))

    def forecast(self, service: str, now_s: float) -> Forecast | None:
        return self._outlooks[service].forecast(self._wall_s(now_s))

    def capacity(self, service: str) -> Capacity | None:
        return self._outlooks[service].capacity()

    def tuning(self, service: str) -> Tuning:
        return Tuning()

    async def run(self) -> None:
        """Writes down what is over, and fits; until cancelled."""
        fitted_s = self._clock() - FIT_EVERY_S + SAVE_EVERY_S
        while True:
            await asyncio.sleep(TICK_S / 3)
            self.write()
            if self._clock() - fitted_s >= FIT_EVERY_S:
                fitted_s = self._clock()
                await self.fit()

    def write(self) -> None:
        """Ticks that are over go to the history. Never raises: a full disk must not stop prediction."""
        pending, self._pending = self._pending, {}
        try:
            for (step_s, number), values in sorted(pending.items()):
                self._series.record(step_s, number, values)
            if self._clock() - self._saved_s >= SAVE_EVERY_S:
                self._saved_s = self._clock()
                self._save()
        except Exception as error:
            log.error("history not kept", reason=str(error))

    async def fit(self) -> None:
        """One round over all services that have anything to fit. Never raises."""
        try:
            self._record_disk()
            async with self._fitter() as fitter:
                for outlook in self._outlooks.values():
                    request = outlook.fit_request()
                    reply = await fitter.fit(request) if request.minutes else None
                    if reply is not None:
                        outlook.take(reply)
        except Exception as error:
            log.error("not fitted", exc_info=error)

    def view(self, service: str | None = None) -> ForecastPage:
        """Of one service or all. Raises: NotFound."""
        if service is not None and service not in self._outlooks:
            raise NotFound(f'There is no service "{service[:64]}"; there are {", ".join(self._outlooks)}.')
        wall_s = self._wall_s(self._clock())
        shown = [self._outlooks[service]] if service is not None else list(self._outlooks.values())
        return ForecastPage(
            [service_view(o, self._services[o.service].replicas.max, self._series, wall_s) for o in shown],
            fleet_saturation(self._series, self._data_dir, wall_s),
        )

    def close(self) -> None:
        """Writes down what is known. Never raises."""
        self._saved_s = self._clock() - SAVE_EVERY_S
        self.write()
        self._series.close()

    def _record(self, step_s: int, number: int, values: Mapping[str, float]) -> None:
        """All services' values of a tick are written together."""
        self._pending.setdefault((step_s, number), {}).update(values)

    def _record_disk(self) -> None:
        used = shutil.disk_usage(self._data_dir).used
        index = sum(f.stat().st_size for f in (self._data_dir / "shards").glob("**/*") if f.is_file())
        number = int(self._wall_s(self._clock()) // COARSE_S)
        self._record(COARSE_S, number, {"fleet/disk_bytes": float(used), "fleet/index_bytes": float(index)})

    def _save(self) -> None:
        for name, outlook in self._outlooks.items():
            self._history.remember(_key(name), self._wall_s(self._clock()), outlook.memory())

    def _wall_s(self, now_s: float) -> float:
        return now_s + self._ahead_s


def _key(service: str) -> str:
    return f"prediction/{service}"
