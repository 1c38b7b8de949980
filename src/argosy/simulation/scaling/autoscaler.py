"""Interface of the autoscalers that are compared: at intervals, each decides how many replicas there should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from argosy.control.observation import Forecast
from argosy.simulation.scaling.load import Load
from argosy.simulation.scaling.readings import Readings
from argosy.simulation.scaling.service import SimulatedService


class Autoscaler(Protocol):
    """Autoscaler of one run. It keeps its own state."""

    interval_s: int
    """Time between two decisions, in seconds."""

    def wanted(self, seen: Readings) -> int:
        """Return how many replicas should run or start from now on. The run clamps the number to the bounds."""
        ...


class Foresight(Protocol):
    """Source of forecasts for `predictive` in a run. Like the policy, it sees only the past."""

    def forecast(self, seen: Readings) -> Forecast | None: ...


@dataclass(frozen=True, slots=True)
class World:
    """Circumstances of one run, the same for every policy."""

    service: SimulatedService
    load: Load
    cold_start_s: int
    min_replicas: int
    max_replicas: int
    predictor: Callable[[], Foresight] | None = None
    """Factory of the forecast source of a run; None runs without forecast."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Policy that is swept over the values of one target."""

    name: str
    about: str
    target: str
    """Description of the target, with its unit."""
    targets: Callable[[World], tuple[float, ...]]
    usual: Callable[[World], float]
    """Default target, used when nothing is swept."""
    make: Callable[[World, float], Autoscaler]
    first: Callable[[World, float], int] | None = None
    """Replicas that are ready at the start; None starts the number that the first minute needs."""
    counted: bool = True
    """Whether the contender is a policy; False when it only shows a bound."""
