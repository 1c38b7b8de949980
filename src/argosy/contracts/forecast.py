"""What the controller expects of each service, and how well it expected so far: the answer of `GET /v1/forecast`."""

from __future__ import annotations

import msgspec


class HorizonView(msgspec.Struct):
    """Requests a second, so far ahead. Errors are means of late: half the absolute error (pinball loss)."""

    horizon_s: int
    expected: float
    low: float | None
    high: float | None
    """The band that 95 % are to lie in; None until enough errors are known."""
    coverage: float | None
    error: float | None
    naive_error: float | None
    """Of the last value."""
    used: bool
    """Whether its error is below that of the naive forecast; one that is not is not used."""
    weights: dict[str, float]


class PeakView(msgspec.Struct):
    """The highest load of the coming window, which scaling uses. Errors are pinball losses, in replicas' worth."""

    replicas: float
    horizon_s: int
    period_s: int
    error: float
    naive_error: float
    """Of the highest load of the last windows: of one, two or four, whichever loses least."""
    coverage: float
    used: bool


class CapacityView(msgspec.Struct):
    state: str
    """`learnt`, or why it is not."""
    samples: int
    service_time_s: float | None = None
    service_time_interval_s: tuple[float, float] | None = None
    slots: float | None = None
    slots_interval: tuple[float, float | None] | None = None
    """Without an upper end where so little queued that any larger number explains it as well."""
    variability: float | None = None
    sigma: float | None = None
    kappa: float | None = None
    r2: float | None = None
    residual: float | None = None
    """Root mean square, in requests in flight."""


class AnomalyView(msgspec.Struct):
    """Points outside median ± 2 MAD of a day, several in a row."""

    series: str
    value: float
    low: float
    high: float


class SaturationView(msgspec.Struct):
    what: str
    now: float
    limit: float
    seconds: float | None
    """None where it does not grow, or is more than a year off."""


class ForecastView(msgspec.Struct):
    service: str
    state: str
    """What the forecast of the window's peak still waits for; empty where it is there."""
    recorded_s: int
    season_s: int | None
    horizons: list[HorizonView]
    peak: PeakView | None
    capacity: CapacityView
    cold_start_s: float
    cold_starts_seen: int
    anomalies: list[AnomalyView]
    saturation: list[SaturationView]


class ForecastPage(msgspec.Struct):
    services: list[ForecastView]
    fleet: list[SaturationView]
