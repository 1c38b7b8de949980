"""Messages of capacity planning: the request and response of `argosy plan`, and the results of a calibration."""

from __future__ import annotations

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Sentence = Annotated[str, msgspec.Meta(max_length=2048)]

QUANTILES = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
ASKABLE = ("embedding", "retrieval", "generation")
"""Built-in services that have a gateway route of their own, so that each can be loaded separately."""
GENERATOR = "load generator"
"""Key in the CPU times of a step for the process that sent the load, when it ran on the fleet's machine."""


class LoadStep(msgspec.Struct, frozen=True):
    """Load of one rate through the gateway. Requests are sent when due, whether or not earlier ones were answered."""

    replicas: Count
    rate_rps: float
    seconds: float
    answered: Count
    """Number of requests answered successfully within `seconds`."""
    refused: Count
    """Number of requests refused for lack of capacity: 429 and 503."""
    failed: Count
    """Number of requests that failed for any other reason."""
    mean_ms: float
    latency_ms: Annotated[list[float], msgspec.Meta(max_length=len(QUANTILES))]
    """Latency at each of QUANTILES, from the time when a request was due; empty when none was answered."""
    p95_ms: tuple[float, float, float] | None
    """Low end, measured value and high end; the interval has 95 % confidence by order statistics."""
    saturated: bool
    cpu_s: Annotated[dict[str, float], msgspec.Meta(max_length=1000)] = {}
    """CPU time that the replicas of each service took during the step."""
    idle_cores: float | None = None
    """Mean number of idle cores of the machine."""

    @property
    def throughput_rps(self) -> float:
        return self.answered / self.seconds


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounded load test of a service at one number of replicas: the body of `POST /v1/services/NAME/calibration`."""

    asked: Sentence
    """Request that was sent, as `METHOD /path`."""
    steps: list[LoadStep]
    stopped: Sentence
    """Reason why the test ended."""
    at: float = 0.0
    """Wall time at which the controller received the calibration."""


class UsageView(msgspec.Struct):
    """Counters of the machine and of the fleet on it, to be compared between two readings."""

    cores: float
    busy_s: float
    """CPU time of all programs on the machine."""
    cpu_s: dict[str, float]
    """CPU time of the replicas of each service."""
    pids: list[int]
    """Process ids of the replicas counted; readings with other ids cannot be compared."""


class PlanRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /v1/plan`."""

    rps: float
    p95_ms: float | None = None
    """Largest 95th percentile of the latency; by default, twice the latency of a request on an idle fleet."""
    service: Annotated[str, msgspec.Meta(max_length=128)] | None = None


class PlanPoint(msgspec.Struct):
    """Expected performance of one number of replicas."""

    replicas: int
    saturation_rps: float
    saturation_interval_rps: tuple[float, float | None]
    """Interval of `saturation_rps`. It has no upper end when the test ended before saturation."""
    p95_ms: float | None
    """Expected latency at the requested rate; None when the rate is above saturation."""
    p95_interval_ms: tuple[float, float | None] | None
    headroom: float
    """Share of the saturation rate left at the requested rate; negative when the rate is above saturation."""


class PlanView(msgspec.Struct):
    service: str
    state: str
    """Reason why there is no plan; empty when there is one."""
    rps: float
    p95_ms: float | None
    """Requested latency, or the default used in its place."""
    replicas: int | None = None
    """Smallest number of replicas that keeps `p95_ms` at the requested rate; None when no number does."""
    replicas_interval: tuple[int, int | None] | None = None
    running: int = 0
    min_instances: int = 0
    max_instances: int = 0
    points: list[PlanPoint] = []
    """Points for increasing numbers of replicas."""
    bottleneck: str = ""
    notes: list[str] = []
    learnt_from: str = ""


class PlanPage(msgspec.Struct):
    services: list[PlanView]
