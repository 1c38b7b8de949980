"""Input of a policy: one service at one moment. The controller fills it from probes, the simulator from its state.

None means that a value is not known. An observation replaces impossible values (NaN, infinite, negative) by unknown
ones when it is made, so no reader meets one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter

LEARNT_SAMPLES = 200
COLD_START_S = 10.0
WINDOW_S = 2.0
LEARNT_R2 = 0.8


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecast of the load from `control/prediction`. A missing forecast is None, never a Forecast of zero."""

    peak_replicas: float | None
    """Highest load within the horizon, in replicas' worth of offered load (erlangs ÷ slots of a replica)."""
    horizon_s: float
    trusted: bool
    """Whether its track record beats the naive forecast. An untrusted forecast is not used."""
    spread: tuple[tuple[float, float], ...] = ()
    """Distribution of that highest load, as (probability, replicas' worth); empty when only the one number is known."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Capacity of one replica, fitted online by `control/prediction` or given."""

    service_time_s: float
    """Mean time for which a request occupies a slot, without waiting."""
    slots: float = 1.0
    """Number of requests that one replica works on at once."""
    service_cv2: float = 1.0
    """Variance of the service time divided by its squared mean."""
    arrival_cv2: float = 1.0
    sigma: float = 0.0
    """Contention: n replicas do the work of n / (1 + sigma (n − 1) + kappa n (n − 1)) single replicas (USL)."""
    kappa: float = 0.0
    samples: int = LEARNT_SAMPLES
    r2: float = 1.0

    @property
    def learnt(self) -> bool:
        """Whether the capacity is known well enough to be used."""
        return (
            self.samples >= LEARNT_SAMPLES
            and self.r2 >= LEARNT_R2
            and 0 < self.service_time_s < math.inf
            and 0 < self.slots < math.inf
            and 0 <= self.service_cv2 < math.inf
            and 0 <= self.arrival_cv2 < math.inf
            and 0 <= self.sigma < math.inf
            and 0 <= self.kappa < math.inf
        )


@dataclass(frozen=True, slots=True)
class Observation:
    """Observation of one service. Totals and means are over the replicas that report."""

    replicas: int
    """Replicas that were started and are not draining: ready ones and starting ones."""
    ready: int
    reporting: int | None = None
    """Number of ready replicas whose load is known; None means all of them."""
    age_s: float = 0.0
    """Age of the oldest value."""
    in_flight: float | None = None
    """Requests in the service, waiting ones included; total."""
    queued: float | None = None
    """Requests in flight that wait; total."""
    queue_time_s: float | None = None
    """Mean wait of the requests that recently left the queue."""
    arrivals: float | None = None
    """Requests that arrived within the last `window_s`; total."""
    window_s: float = WINDOW_S
    throughput_rps: float | None = None
    """Requests answered successfully per second; total."""
    response_time_s: float | None = None
    """Mean response time."""
    cpu: float | None = None
    """Share of the cores that a replica can use, above 1 when it uses more; mean."""
    memory: float | None = None
    errors: float | None = None
    """Share of the recent requests (about half a minute, at least 20) that failed, for whatever reason."""
    overload_errors: float | None = None
    """Share that failed for lack of capacity: 429, 503, timeouts. More replicas cure no other failure."""
    named: Mapping[str, float] = field(default_factory=dict)
    """Means over replicas of metrics that the service measures itself."""
    cold_start_s: float = COLD_START_S
    """Time from the decision to start a replica until it is ready; NaN when no start was seen."""
    capacity: Capacity | None = None
    forecast: Forecast | None = None

    @property
    def known_of(self) -> int:
        """Number of replicas that the totals cover."""
        return self.ready if self.reporting is None else max(0, min(self.reporting, self.ready))

    @property
    def complete(self) -> bool:
        """Whether the totals cover all ready replicas."""
        return self.known_of == self.ready

    @property
    def expected_start_s(self) -> float:
        """Cold start to reckon with: the one seen, else the default."""
        return COLD_START_S if math.isnan(self.cold_start_s) else self.cold_start_s

    def metric(self, name: str) -> float | None:
        """Return a value by name: a field, or a named metric of the service. In-flight and queued are per replica."""
        if name in PER_REPLICA:
            total: float | None = getattr(self, name)
            return None if total is None or not self.known_of else total / self.known_of
        if name in MEANS:
            value: float | None = getattr(self, name)
            return value
        return self.named.get(name)

    def __post_init__(self) -> None:
        for name, value in zip(NUMBERS, _numbers(self), strict=True):
            if value is not None and not 0 <= value < math.inf:
                object.__setattr__(self, name, None)
        if not _possible(self.age_s):
            object.__setattr__(self, "age_s", math.inf)
        if not _possible(self.cold_start_s):
            object.__setattr__(self, "cold_start_s", math.nan)
        if not _possible(self.window_s) or not self.window_s:
            object.__setattr__(self, "window_s", WINDOW_S)
            object.__setattr__(self, "arrivals", None)
        if self.forecast is not None and not _possible(self.forecast.peak_replicas):
            object.__setattr__(self, "forecast", None)
        if self.named and not all(map(_possible, self.named.values())):
            possible = {name: value for name, value in self.named.items() if _possible(value)}
            object.__setattr__(self, "named", possible)


PER_REPLICA = ("in_flight", "queued")
MEANS = ("queue_time_s", "response_time_s", "cpu", "memory", "errors", "overload_errors")
NUMBERS = tuple(f.name for f in fields(Observation) if f.type == "float | None")
_numbers = attrgetter(*NUMBERS)


def _possible(value: float | None) -> bool:
    return value is None or 0 <= value < math.inf
