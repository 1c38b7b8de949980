"""A user's own load as demand: the rates and response times that the controller recorded in `control.db`."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from argosy.config.scaling import ScalingSettings
from argosy.contracts.errors import ConfigError
from argosy.control.history.arrays import Floats
from argosy.control.history.measures import COARSE_S, FINE_KEPT_S, TICK_S, points_of
from argosy.control.history.series import Series, read_only
from argosy.control.prediction import outlook
from argosy.control.scaling import registration
from argosy.simulation.loads.durations import Lognormal
from argosy.simulation.scaling.demand import Demand
from argosy.simulation.scaling.service import SimulatedService

CALM_SHARE = 0.25
SIGMA = 0.5
"""Standard deviation of the logarithm of the service time, of which only the mean is recorded."""


def recorded(data_dir: Path, service: str, length_s: float, until_s: float) -> Demand:
    """Return the load of the last `length_s` before wall time `until_s`.

    Bins are 15 s while history of that resolution is kept, else 5 min. An unknown bin has the rate of the bin before
    it.

    Raises: ConfigError when no such history is recorded or it cannot be read.
    """
    step_s = TICK_S if length_s <= FINE_KEPT_S else COARSE_S
    rates_rps = _read(data_dir, f"{service}/rate", step_s, length_s, until_s)
    known = np.flatnonzero(np.isfinite(rates_rps))
    if not len(known) or not np.nanmax(rates_rps) > 0:
        raise ConfigError(
            f"{data_dir}: no load of {service} is recorded in the last {length_s / 3600:g} h; "
            f"give another --service or a longer --from-history. There are series of {_services(data_dir)}.",
            param="from_history",
        )
    rates_rps = rates_rps[known[0] :]
    latest = np.maximum.accumulate(np.where(np.isfinite(rates_rps), np.arange(len(rates_rps)), 0))
    return Demand(service, step_s, rates_rps[latest], np.empty(0))


def recorded_service(
    data_dir: Path,
    service: str,
    length_s: float,
    until_s: float,
    *,
    slots: int,
    slo_s: float | None,
    work_s: float | None,
) -> SimulatedService:
    """Return the service, with the time a request takes.

    The time is `work_s`, or else the mean response of the calmest quarter of the recorded history.

    Raises: ConfigError when no response time is recorded or the history cannot be read.
    """
    if work_s is None:
        step_s = TICK_S if length_s <= FINE_KEPT_S else COARSE_S
        response_s = _read(data_dir, f"{service}/response", step_s, length_s, until_s)
        response_s = response_s[np.isfinite(response_s) & (response_s > 0)]
        if not len(response_s):
            raise ConfigError(f"{data_dir}: no response time of {service} is recorded; give --work-ms.", param="work")
        work_s = float(np.sort(response_s)[: max(1, round(CALM_SHARE * len(response_s)))].mean())
    return SimulatedService(service, Lognormal(mean_s=work_s, sigma=SIGMA), slots, slo_s)


@dataclass(frozen=True, slots=True)
class RecordedService:
    """Values that the controller recorded for a service; None where it did not."""

    cold_start_s: float | None = None
    max_replicas: int | None = None
    slots: int | None = None


def known_of(data_dir: Path, service: str) -> RecordedService:
    """Return what the controller recorded for a service. Values that cannot be read are None; no error is raised."""
    known = RecordedService()
    with contextlib.suppress(sqlite3.Error, msgspec.MsgspecError, ValueError):
        with contextlib.closing(read_only(data_dir)) as db:
            written = dict(db.execute("SELECT name, value FROM memories WHERE name LIKE ?", (f"%/{service}",)))
        if f"scaling/{service}" in written:
            scaled = msgspec.json.decode(written[f"scaling/{service}"], type=registration.SavedRegistration)
            settings = ScalingSettings.model_validate_json(bytes(scaled.settings))
            known = RecordedService(None, scaled.max_instances, max(1, round(settings.slots)))
        if f"prediction/{service}" in written:
            learnt = msgspec.msgpack.decode(written[f"prediction/{service}"], type=outlook.SavedOutlook)
            capacity = learnt.capacity.capacity(known.slots or 1)
            known = RecordedService(
                learnt.cold_starts.planned_s if learnt.cold_starts.seen_s else None,
                known.max_replicas,
                known.slots if capacity is None else max(1, round(capacity.slots)),
            )
    return known


def _read(data_dir: Path, name: str, step_s: int, length_s: float, until_s: float) -> Floats:
    last = int(until_s // step_s) - 1
    try:
        series = Series.reading(data_dir)
    except sqlite3.Error as error:
        raise ConfigError(
            f"{data_dir / 'control.db'}: the history cannot be read ({error}).", param="data_dir"
        ) from error
    try:
        return points_of(series, name, step_s, last - math.ceil(length_s / step_s) + 1, last)
    except sqlite3.Error as error:
        raise ConfigError(
            f"{data_dir / 'control.db'}: the history cannot be read ({error}).", param="data_dir"
        ) from error
    finally:
        series.close()


def _services(data_dir: Path) -> str:
    series = Series.reading(data_dir)
    names = {name.partition("/")[0] for name in series.names() if name.endswith("/rate")}
    series.close()
    return ", ".join(sorted(names)) or "no service"
