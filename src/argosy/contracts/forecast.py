"""Forecasts of each service's load and their accuracy so far: the response of `GET /v1/forecast`."""

from __future__ import annotations

import msgspec


class HorizonView(msgspec.Struct):
    """Forecast of requests per second at one horizon.

    Errors are means over recent forecasts of half the absolute error (pinball loss at the median).
    """

    horizon_s: int
    expected: float
    low: float | None
    high: float | None
    """Upper end of the band from `low` that should contain 95 % of the values; None until enough errors are known."""
    coverage: float | None
    error: float | None
    naive_error: float | None
    """Error of the naive forecast, which is the last value."""
    used: bool
    """Whether the forecast is used: only while its error is below that of the naive forecast."""
    weights: dict[str, float]


class PeakView(msgspec.Struct):
    """Forecast of the highest load of the coming window, which scaling uses. Errors are pinball losses in replicas."""

    replicas: float
    horizon_s: int
    period_s: int
    error: float
    naive_error: float
    """Error of the naive forecast: the highest load of the last one, two or four windows, whichever loses least."""
    coverage: float
    used: bool


class CapacityView(msgspec.Struct):
    state: str
    """`learnt`, or the reason why the capacity is not known."""
    samples: int
    service_time_s: float | None = None
    service_time_interval_s: tuple[float, float] | None = None
    slots: float | None = None
    slots_interval: tuple[float, float | None] | None = None
    """Interval of `slots`. It has no upper end when so little queued that any larger number fits as well."""
    variability: float | None = None
    sigma: float | None = None
    kappa: float | None = None
    r2: float | None = None
    residual: float | None = None
    """Root mean square of the residuals, in requests in flight."""


class AnomalyView(msgspec.Struct):
    """Anomaly: several consecutive points outside median ± 2 MAD of a day."""

    series: str
    value: float
    low: float
    high: float


class SaturationView(msgspec.Struct):
    what: str
    now: float
    limit: float
    seconds: float | None
    """Seconds until the limit is reached; None when the value does not grow or the limit is over a year away."""


class ForecastView(msgspec.Struct):
    service: str
    state: str
    """Condition that the forecast of the window's peak still waits for; empty when there is a forecast."""
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
