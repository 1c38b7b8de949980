"""Views of the forecasts for people and tools."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from argosy.contracts.forecast import (
    AnomalyView,
    CapacityView,
    ForecastView,
    HorizonView,
    PeakView,
    SaturationView,
)
from argosy.control.history.arrays import Floats
from argosy.control.history.measures import COARSE_S, points_of
from argosy.control.history.series import Series
from argosy.control.prediction import anomaly
from argosy.control.prediction.capacity import CapacityFit
from argosy.control.prediction.minutes.experts import NAMES
from argosy.control.prediction.minutes.mixture import Record, Said
from argosy.control.prediction.outlook import Outlook
from argosy.control.prediction.peak.analogue import BIN_S, LEAST_BINS, WindowPeak
from argosy.control.prediction.peak.skill import Judged
from argosy.control.prediction.saturation import seconds_until

DAY_S = 86_400
WATCHED = ("rate", "in_flight", "response", "errors", "cpu", "memory")
SHOWN_WEIGHT = 0.005


def days_of(history: Series, service: str, wall_s: float) -> dict[str, Floats]:
    """Return the last day of each watched series. Reads the disk."""
    return {name: last_day(history, f"{service}/{name}", wall_s) for name in WATCHED}


def service_view(outlook: Outlook, most: int, days: Mapping[str, Floats], wall_s: float) -> ForecastView:
    """Return the view of a service.

    Args: `most` is the maximum number of replicas; `days` is the result of `days_of` at that time.
    """
    forecast = outlook.minutes
    season = forecast.fit.season
    horizons = [
        _horizon(minutes * 60, said, record)
        for minutes, said, record in zip(forecast.horizons_min, forecast.latest, forecast.records, strict=True)
        if said is not None
    ]
    first_minute = (int(wall_s // COARSE_S) - DAY_S // COARSE_S) * COARSE_S // 60
    anomalies = []
    for name, points in days.items():
        keeps = season if name in ("rate", "in_flight") else None
        band = anomaly.newest(points, first_minute, COARSE_S // 60, keeps)
        if band is not None and band.anomalous:
            anomalies.append(AnomalyView(f"{outlook.service}/{name}", band.value, band.low, band.high))
    limits = {"in_flight": most * outlook.slots(), "memory": 1.0}
    peak = outlook.expected
    state = ""
    if peak is None:
        recorded_h = outlook.peak.recorded_s / 3600
        state = f"{recorded_h:.1f} of {LEAST_BINS * BIN_S // 3600} h are recorded"
        if outlook.peak.recorded_s >= LEAST_BINS * BIN_S:
            state = "too few windows were scored, or the load is not known now"
    return ForecastView(
        service=outlook.service,
        state=state,
        recorded_s=outlook.peak.recorded_s,
        season_s=None if season is None else season.period_min * 60,
        horizons=horizons,
        peak=None if peak is None else _peak(outlook, peak),
        capacity=_capacity(outlook.fitted),
        cold_start_s=outlook.cold_starts.planned_s,
        cold_starts_seen=len(outlook.cold_starts.seen_s),
        anomalies=anomalies,
        saturation=[
            SaturationView(name, now, limit, seconds_until(limit, days[name], COARSE_S))
            for name, limit in limits.items()
            if (now := _newest(days[name])) is not None
        ],
    )


def _peak(outlook: Outlook, peak: WindowPeak) -> PeakView:
    """Return the view of the window forecast.

    The track record is that of the regression when it is fitted to the window, because scaling uses its distribution;
    else that of the analogues, which are then shown but not used.
    """
    judged: Judged = peak
    fit, slots = outlook.fit_in_use(), outlook.slots()
    if fit is not None:
        judged = fit
    return PeakView(
        peak.peak / slots,
        peak.horizon_s,
        peak.period_s,
        judged.loss / slots,
        judged.naive_loss / slots,
        judged.coverage,
        bool(outlook.spread),
    )


def fleet_saturation(history: Series, data_dir: Path, wall_s: float) -> list[SaturationView]:
    """Return when the disk will be full, and when the index will fill the rest of the disk. Reads the disk."""
    usage = shutil.disk_usage(data_dir)
    found = []
    for what, name in (("disk_bytes", "fleet/disk_bytes"), ("index_bytes", "fleet/index_bytes")):
        points = last_day(history, name, wall_s)
        now = _newest(points)
        if now is not None:
            limit = float(usage.total) if what == "disk_bytes" else now + usage.free
            found.append(SaturationView(what, now, limit, seconds_until(limit, points, COARSE_S)))
    return found


def last_day(history: Series, name: str, wall_s: float) -> Floats:
    """Return the means of five minutes of the last day."""
    last = int(wall_s // COARSE_S) - 1
    return points_of(history, name, COARSE_S, last - DAY_S // COARSE_S + 1, last)


def _newest(points: Floats) -> float | None:
    known = points[np.isfinite(points)]
    return float(known[-1]) if len(known) else None


def _horizon(horizon_s: int, said: Said, record: Record) -> HorizonView:
    low, high = said.band or (None, None)
    band, scored = record.stretch, record.scored
    return HorizonView(
        horizon_s,
        said.point,
        low,
        high,
        band.covered / band.scored if band.scored else None,
        record.mixed / scored if scored else None,
        record.naive / scored if scored else None,
        record.trusted,
        {n: float(w) for n, w in zip(NAMES, said.weights, strict=True) if w >= SHOWN_WEIGHT},
    )


def _capacity(fitted: CapacityFit) -> CapacityView:
    if math.isnan(fitted.slots):
        return CapacityView(fitted.why_not, fitted.samples)
    return CapacityView(
        fitted.why_not or "learnt",
        fitted.samples,
        fitted.service_time_s,
        (fitted.service_time_low_s, fitted.service_time_high_s),
        fitted.slots,
        (fitted.slots_low, fitted.slots_high),
        fitted.variability,
        fitted.sigma,
        fitted.kappa,
        fitted.r2,
        fitted.residual,
    )
