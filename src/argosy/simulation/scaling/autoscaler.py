"""What is compared: something that says, now and then, how many replicas there should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from argosy.control.scaling.observation import Forecast
from argosy.simulation.scaling.load import Load
from argosy.simulation.scaling.readings import Readings
from argosy.simulation.scaling.service import Service


class Autoscaler(Protocol):
    """One run. It remembers what it needs."""

    interval_s: int
    """Time between two decisions."""

    def wanted(self, seen: Readings) -> int:
        """Replicas that are to run or start from now on; the run keeps it within the bounds."""
        ...


class Foresight(Protocol):
    """The forecast that `predictive` is given in a run. It sees what has passed, as the policy does."""

    def forecast(self, seen: Readings) -> Forecast | None: ...


@dataclass(frozen=True, slots=True)
class World:
    """One run's circumstances, the same for every policy."""

    service: Service
    load: Load
    cold_start_s: int
    min_replicas: int
    max_replicas: int
    predictor: Callable[[], Foresight] | None = None
    """Makes one for a run; None goes without forecast."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy that is swept over one target."""

    name: str
    about: str
    target: str
    """What the target is, with its unit."""
    targets: Callable[[World], tuple[float, ...]]
    usual: Callable[[World], float]
    """The target by default, where nothing is swept."""
    make: Callable[[World, float], Autoscaler]
    first: Callable[[World, float], int] | None = None
    """Replicas that are ready at the start; None takes what the first minute needs."""
    counted: bool = True
    """False for what shows a bound and is no policy."""
