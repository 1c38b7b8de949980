"""Forecasts that the controller would have made at each moment of a load, computed from arrivals as they come.

Forecasts depend on arrivals alone, so they are computed once for all targets of a policy. The load is rate × mean
service time, as in the controller once it has learnt the service time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.control.observation import Forecast
from argosy.control.prediction.peak.analogue import BIN_S, DAY, RING, Analogue, window_bins
from argosy.control.prediction.peak.window_regression import Spread, design, fit_window, spread, targets
from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.scaling.demand import Demand
from argosy.simulation.scaling.load import Load
from argosy.simulation.scaling.readings import Readings
from argosy.simulation.scaling.service import SimulatedService

DAY_S = DAY * BIN_S
SCORED_BINS = DAY
"""Number of latest history bins that are scored. Earlier bins are filled in without scoring, as after a restart."""
HISTORY_SEED = 1
REFIT_BINS = DAY // 4
"""Bins between two fits. The controller fits every ten minutes, which would take hours here."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Forecasts by bins of BIN_S. Entry b is known once b bins have passed; None means that there is no forecast."""

    forecasts: tuple[Forecast | None, ...]

    def forecast(self, seen: Readings) -> Forecast | None:
        return self.forecasts[min(seen.now // BIN_S, len(self.forecasts) - 1)]


def is_long_enough(demand: Demand) -> bool:
    """Return whether a forecast is ever made: the forecast is off until a day is recorded."""
    return demand.length_s + len(demand.before_rps) * demand.bin_s > DAY_S


def foresee(
    demand: Demand,
    load: Load,
    service: SimulatedService,
    cold_start_s: float,
    seed: int,
    scored_bins: int = SCORED_BINS,
) -> Foreseen:
    """Return every forecast of a run. Randomness in the time before the run has its own stream."""
    before = _before(demand, service, np.random.default_rng((seed, HISTORY_SEED)))
    now = _binned(load) / BIN_S * service.mean_s
    forecaster = Analogue(cold_start_s)
    scored = before[-scored_bins:]
    known = len(before) - len(scored)
    if known:
        forecaster.fill(0, before[:known])
    for offset, value in enumerate(scored.tolist()):
        forecaster.add(known + offset, value)
    spreads = _spreads(np.concatenate((before, now)), len(before), forecaster.window)
    forecasts: list[Forecast | None] = [None]
    for offset, value in enumerate(now.tolist()):
        forecaster.add(len(before) + offset, value)
        expected = forecaster.forecast()
        spread = tuple((chance, peak / service.slots) for chance, peak in spreads[offset])
        forecasts.append(
            None
            if expected is None
            else Forecast(expected.peak / service.slots, float(expected.horizon_s), bool(spread), spread)
        )
    return Foreseen(tuple(forecasts))


def told(load: Load, service: SimulatedService, cold_start_s: float) -> Foreseen:
    """Return perfect forecasts, as a bound: the true highest load of each coming window."""
    loads = _binned(load) / BIN_S * service.mean_s
    window = window_bins(cold_start_s)
    peaks = np.nan_to_num(targets(loads, np.arange(len(loads)), window)) ** 2 / service.slots
    found = [Forecast(peak, float(window * BIN_S), True) for peak in peaks.tolist()]
    return Foreseen((None, *found))


def _spreads(loads: FloatArray, begin: int, window: int) -> list[Spread]:
    """Return what the regression forecasts after each bin from `begin` on, refitted every REFIT_BINS."""
    found: list[Spread] = []
    for first in range(begin, len(loads), REFIT_BINS):
        past = loads[max(0, first - RING) : first]
        fit = fit_window(past, window)
        last = min(first + REFIT_BINS, len(loads))
        if fit is None or not fit.trusted:
            found += [()] * (last - first)
            continue
        since = max(0, first - RING)
        rows = design(loads[since:last], np.arange(first, last) - since, window)
        found += [spread(fit, row) for row in rows]
    return found


def _before(demand: Demand, service: SimulatedService, rng: np.random.Generator) -> FloatArray:
    """Return the load in the bins before the run, Poisson as in the run, limited to what the forecast remembers."""
    seconds_rps = np.repeat(demand.before_rps[-(RING * BIN_S // demand.bin_s) :], demand.bin_s)
    rates_rps = seconds_rps[len(seconds_rps) % BIN_S :].reshape(-1, BIN_S).mean(1)
    load: FloatArray = rng.poisson(rates_rps * BIN_S) / BIN_S * service.mean_s
    return load


def _binned(load: Load) -> FloatArray:
    """Return the arrivals in each bin that is complete by the end of the run."""
    bins = load.length_s // BIN_S
    binned: FloatArray = load.arrived[: bins * BIN_S].reshape(bins, BIN_S).sum(1)
    return binned
