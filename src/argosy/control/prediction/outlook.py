"""Outlook of one service: learns from observations and provides forecasts to policies and views."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from argosy.control.history.arrays import Floats, known_means
from argosy.control.history.measures import COARSE_S, TICK_S
from argosy.control.history.series import Series
from argosy.control.observation import COLD_START_S, Capacity, Forecast, Observation
from argosy.control.prediction.binning import Bins
from argosy.control.prediction.capacity import CapacityFit
from argosy.control.prediction.cold_start import ColdStarts
from argosy.control.prediction.minutes.experts import Fit
from argosy.control.prediction.minutes.load_forecast import HORIZONS_MIN, LoadForecast
from argosy.control.prediction.minutes.load_forecast import RING as MINUTES
from argosy.control.prediction.minutes.mixture import Record
from argosy.control.prediction.peak.analogue import BIN_S, RING, Analogue, Scores, WindowPeak
from argosy.control.prediction.peak.window_regression import Spread, WindowFit, newest, spread
from argosy.control.prediction.worker import FitReply, FitRequest

STALE_BINS = 3
KEPT_SAMPLES = 2000
REPLANNED = 0.25

Recorder = Callable[[int, int, Mapping[str, float]], None]


class SavedOutlook(msgspec.Struct):
    """Saved state of an outlook, besides the history of its series."""

    scores: Scores
    fit: Fit
    records: list[Record]
    capacity: CapacityFit
    cold_starts: ColdStarts


class Outlook:
    """Outlook of one service.

    The load is in erlangs, the requests being worked on: rate × service time once that is learnt, else requests in
    flight.
    """

    def __init__(self, service: str, slots: float, record: Recorder) -> None:
        """Create an outlook. `slots` are the configured slots, used until slots are learnt."""
        self.service = service
        self.minutes = LoadForecast()
        self._planned_s = COLD_START_S
        self.peak = Analogue(self._planned_s)
        self.fitted = CapacityFit(0)
        self.cold_starts = ColdStarts()
        self._slots = slots
        self._record = record
        self._fine, self._ticks, self._minute = Bins(BIN_S), Bins(TICK_S), Bins(60)
        self.expected: WindowPeak | None = None
        """Forecast of the highest load in the window that begins now, in erlangs."""
        self.spread: Spread = ()
        """Distribution of the same load as (probability, erlangs); empty without a trusted forecast."""
        self.window: WindowFit | None = None
        self.last_bin = 0
        self._samples: collections.deque[tuple[float, float, float]] = collections.deque(maxlen=KEPT_SAMPLES)

    def observe(self, seen: Observation, wall_s: float) -> None:
        """Learn from an observation. Unknown values leave a gap; no value is substituted."""
        self.cold_starts = self.cold_starts.next(seen.cold_start_s)
        self._plan_for(self.cold_starts.planned_s)
        rate = None if seen.arrivals is None else seen.arrivals / seen.window_s
        if not seen.complete:
            rate, load = None, None
        else:
            capacity = self.capacity()
            load = seen.in_flight if capacity is None or rate is None else rate * capacity.service_time_s
        fine = self._fine.add(wall_s, {"load": load})
        if fine is not None:
            self._take_load(*fine)
        values = {
            "rate": rate,
            "in_flight": seen.in_flight,
            "queued": seen.queued,
            "served": seen.throughput_rps,
            "response": seen.response_time_s or None,
            "queue_time": seen.queue_time_s,
            "cpu": seen.cpu,
            "memory": seen.memory,
            "errors": seen.errors,
            "overload": seen.overload_errors,
            "ready": float(seen.ready),
            "replicas": float(seen.replicas),
        }
        tick = self._ticks.add(wall_s, values)
        if tick is not None:
            self._record(TICK_S, tick[0], {f"{self.service}/{name}": value for name, value in tick[1].items()})
            self._sample(tick[1])
        minute = self._minute.add(wall_s, {"rate": rate})
        if minute is not None:
            self.minutes.add(minute[0], minute[1].get("rate", math.nan))

    def _plan_for(self, cold_start_s: float) -> None:
        """Change the window, unless the cold start is nearly the same.

        After a change, forecasts are not trusted until the next fit.
        """
        if abs(cold_start_s - self._planned_s) > REPLANNED * self._planned_s:
            self._planned_s = cold_start_s
            self.peak.plan_for(cold_start_s)

    def forecast(self, wall_s: float) -> Forecast | None:
        """Return the forecast for the policies; None while nothing is known or the latest bin is too old."""
        expected = self.expected
        if expected is None or wall_s // BIN_S - self.last_bin > STALE_BINS:
            return None
        slots = self.slots()
        spread = tuple((chance, load / slots) for chance, load in self.spread)
        return Forecast(expected.peak / slots, expected.horizon_s, bool(spread), spread)

    def capacity(self) -> Capacity | None:
        return self.fitted.capacity(self._slots)

    def slots(self) -> float:
        """Return the slots of one replica: the learnt ones, else the configured ones."""
        capacity = self.capacity()
        return self._slots if capacity is None else capacity.slots

    def fit_request(self) -> FitRequest:
        past = self.minutes.past()
        known = np.flatnonzero(np.isfinite(past))
        past = past[known[0] :] if len(known) else past[:0]
        first = (self.minutes.last_bin or 0) - len(past) + 1
        samples = np.array(self._samples, np.float64).reshape(-1, 3)
        loads = self.peak.recent().tobytes() if self.peak.recorded_s else b""
        return FitRequest(past.tobytes(), first, list(HORIZONS_MIN), samples.tobytes(), loads, self.peak.window)

    def take(self, reply: FitReply) -> None:
        self.minutes.fit, self.fitted, self.window = reply.fit, reply.capacity, reply.window

    def memory(self) -> bytes:
        return msgspec.msgpack.encode(
            SavedOutlook(self.peak.scores(), self.minutes.fit, self.minutes.records, self.fitted, self.cold_starts)
        )

    def restore(self, written: bytes | None, history: Series, wall_s: float) -> None:
        """Restore what an earlier controller learnt and recorded.

        Raises: msgspec.DecodeError when `written` is from another version; the history is restored all the same.
        """
        last = int(wall_s // BIN_S) - 1
        loads = history.read(f"{self.service}/load", BIN_S, last - RING + 1, last)
        self._fill_minutes(history, int(wall_s // 60) - 1)
        ticks = int(wall_s // TICK_S) - 1
        columns = {
            name: history.read(f"{self.service}/{name}", TICK_S, ticks - KEPT_SAMPLES + 1, ticks).tolist()
            for name in ("rate", "in_flight", "response", "ready")
        }
        for row in zip(*columns.values(), strict=True):
            self._sample({name: v for name, v in zip(columns, row, strict=True) if math.isfinite(v)})
        memory = None
        try:
            memory = None if written is None else msgspec.msgpack.decode(written, type=SavedOutlook)
        finally:
            if memory is not None and len(memory.records) == len(HORIZONS_MIN):
                self.minutes.fit, self.minutes.records = memory.fit, memory.records
                self.fitted, self.cold_starts = memory.capacity, memory.cold_starts
                self._planned_s = self.cold_starts.planned_s
                self.peak = Analogue(self._planned_s, scores=memory.scores)
            if np.isfinite(loads).any():
                self.peak.fill(last - RING + 1, loads)

    def _fill_minutes(self, history: Series, last: int) -> None:
        """Fill in the rate by minutes: recent days from ticks, the weeks before from means of five minutes."""
        name, first = f"{self.service}/rate", last - MINUTES + 1
        fine = history.read(name, TICK_S, first * 4, last * 4 + 3).reshape(-1, 4)
        coarse_first = first * 60 // COARSE_S
        coarse = history.read(name, COARSE_S, coarse_first, last * 60 // COARSE_S)
        minutes: Floats = coarse[np.arange(first, last + 1) // 5 - coarse_first].astype(np.float64)
        means = known_means(fine)
        minutes = np.where(np.isfinite(means), means, minutes)
        begun = np.flatnonzero(np.isfinite(minutes))
        if len(begun):
            self.minutes.fill(first + int(begun[0]), minutes[begun[0] :])

    def _take_load(self, bin_number: int, values: Mapping[str, float]) -> None:
        load = values.get("load", math.nan)
        self._record(BIN_S, bin_number, {f"{self.service}/load": load})
        self.peak.add(bin_number, load)
        self.last_bin, self.expected = bin_number, self.peak.forecast()
        self.spread = self._spread()

    def _spread(self) -> Spread:
        """Return the distribution by regression, when it is trusted. The analogues know one quantile only."""
        fit = self.fit_in_use()
        if fit is not None and fit.trusted:
            return spread(fit, newest(self.peak.recent(), fit.window))
        return ()

    def fit_in_use(self) -> WindowFit | None:
        """Return the regression, if it was fitted for the current window."""
        fit = self.window
        return fit if fit is not None and fit.window == self.peak.window else None

    def _sample(self, tick: Mapping[str, float]) -> None:
        """Add a sample for the capacity fit.

        Concurrency is computed by Little's law when the response time is known, because a count at one moment is mostly
        chance.
        """
        rate, ready = tick.get("rate"), tick.get("ready")
        if rate is None or ready is None or rate <= 0 or ready < 1 or ready != int(ready):
            return
        response_s, in_flight = tick.get("response"), tick.get("in_flight")
        concurrency = rate * response_s if response_s is not None else in_flight
        if concurrency is not None:
            self._samples.append((rate, concurrency, ready))
