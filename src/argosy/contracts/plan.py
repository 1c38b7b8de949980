"""How many replicas a load takes: what `argosy plan` asks and is told, and what a calibration measured."""

from __future__ import annotations

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Sentence = Annotated[str, msgspec.Meta(max_length=2048)]

QUANTILES = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
ASKABLE = ("embedding", "retrieval", "generation")
"""Of our services those that the gateway has a route to which can be loaded by itself."""
GENERATOR = "load generator"
"""Among the CPU times of a step: the process that asked, where it ran on the fleet's machine."""


class LoadStep(msgspec.Struct, frozen=True):
    """Requests of one rate through the gateway, sent when they were due whether or not others were answered."""

    replicas: Count
    rate_rps: float
    seconds: float
    answered: Count
    """Within those seconds, and well."""
    refused: Count
    """For want of capacity: 429 and 503."""
    failed: Count
    """For any other reason."""
    mean_ms: float
    latency_ms: Annotated[list[float], msgspec.Meta(max_length=len(QUANTILES))]
    """At QUANTILES, counted from the time a request was due; empty where none was answered."""
    p95_ms: tuple[float, float, float] | None
    """Low, measured, high: 95 % by order statistics."""
    saturated: bool
    cpu_s: Annotated[dict[str, float], msgspec.Meta(max_length=1000)] = {}
    """Taken by the replicas of each service during the step."""
    idle_cores: float | None = None
    """Of the machine, on average."""

    @property
    def throughput_rps(self) -> float:
        return self.answered / self.seconds


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bounded load test of a service at one number of replicas: the body of `POST /v1/services/NAME/calibration`."""

    asked: Sentence
    """What was sent, as `METHOD /path`."""
    steps: list[LoadStep]
    stopped: Sentence
    """Why it ended."""
    at: float = 0.0
    """Wall time; the controller's when it took it."""


class UsageView(msgspec.Struct):
    """Counters of the machine and of the fleet on it, for whoever measures between two readings."""

    cores: float
    busy_s: float
    """CPU time of all programs of the machine."""
    cpu_s: dict[str, float]
    """Of each service's replicas."""
    pids: list[int]
    """Of the replicas these are of; a reading of others cannot be compared."""


class PlanRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /v1/plan`."""

    rps: float
    p95_ms: float | None = None
    """Without it twice what a request takes while nothing else runs."""
    service: Annotated[str, msgspec.Meta(max_length=128)] | None = None


class PlanPoint(msgspec.Struct):
    """What so many replicas would do."""

    replicas: int
    saturation_rps: float
    saturation_interval_rps: tuple[float, float | None]
    """Without an upper end where the test ended before it was reached."""
    p95_ms: float | None
    """At the rate asked for; None where that is more than they can answer."""
    p95_interval_ms: tuple[float, float | None] | None
    headroom: float
    """Share of the saturation that is left at that rate; negative where it is too much."""


class PlanView(msgspec.Struct):
    service: str
    state: str
    """Why there is no answer; empty where there is one."""
    rps: float
    p95_ms: float | None
    """What was asked for, or what was taken in its place."""
    replicas: int | None = None
    """The fewest that keep it; None where no number does."""
    replicas_interval: tuple[int, int | None] | None = None
    running: int = 0
    min_instances: int = 0
    max_instances: int = 0
    points: list[PlanPoint] = []
    """For growing numbers of replicas."""
    bottleneck: str = ""
    notes: list[str] = []
    learnt_from: str = ""


class PlanPage(msgspec.Struct):
    services: list[PlanView]
