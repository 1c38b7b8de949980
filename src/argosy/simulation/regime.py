"""A regime: who serves, what arrives, what goes wrong and when. A frozen value; the same seed gives the same run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from argosy.simulation.arrivals import Arrivals
from argosy.simulation.durations import Durations
from argosy.simulation.prefixing import Prefixing
from argosy.simulation.servers.delay import Delay
from argosy.simulation.servers.server import ServerModel
from argosy.simulation.speed import Antagonist, Speed

if TYPE_CHECKING:
    from argosy.simulation.record import Record


@dataclass(frozen=True, slots=True)
class Failure:
    """From `since_s` until `until_s` a request fails with `probability`, after `after_s` and without any work."""

    probability: float
    since_s: float = 0.0
    until_s: float = math.inf
    after_s: float = 0.001


@dataclass(frozen=True, slots=True)
class ReplicaModel:
    server: ServerModel = field(default_factory=Delay)
    speed: Speed = field(default_factory=Speed)
    failure: Failure | None = None
    antagonist: Antagonist | None = None
    joins_s: float = 0.0
    """When balancers first hear of it."""
    drains_s: float = math.inf
    """When balancers are told to leave it; it finishes what it has."""

    def unprotected(self) -> ReplicaModel:
        return replace(self, server=self.server.unprotected())


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What requests begin with. A replica remembers the `kept` prefixes that it met last."""

    drawn: Prefixing
    kept: int
    hit_share: float
    """Share of the work that is left when the replica knows the prefix."""


@dataclass(frozen=True, slots=True)
class Retries:
    """What callers do about slow and failed answers: sheer eagerness, which a guarded subject holds back."""

    timeout_s: float
    """An attempt without an answer by then is given up."""
    attempts: int = 3
    deadline_s: float = math.inf
    """A request without an answer by then has failed, and an answer after it is worth nothing."""


class Measure(Protocol):
    """A figure of one run beside the quantiles, that a regime is about."""

    @property
    def name(self) -> str: ...

    def of(self, record: Record) -> float:
        """NaN where the run has none."""
        ...


@dataclass(frozen=True, slots=True)
class Regime:
    name: str
    about: str
    replicas: tuple[ReplicaModel, ...]
    arrivals: Arrivals
    work: Durations
    requests: int = 200_000
    prefixes: Prefixes | None = None
    retries: Retries | None = None
    measures: tuple[Measure, ...] = ()
    slow: tuple[int, ...] = ()
    """The replicas whose share of the picks the table shows."""
