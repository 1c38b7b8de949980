"""A regime: the replicas, the arrivals, and the failures with their times.

A regime is a frozen value; the same seed gives the same run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from argosy.simulation.loads.arrivals import Arrivals
from argosy.simulation.loads.durations import Durations
from argosy.simulation.loads.prefixing import Prefixing
from argosy.simulation.servers.delay import Delay
from argosy.simulation.servers.server import ServerModel
from argosy.simulation.servers.speed import Antagonist, Speed

if TYPE_CHECKING:
    from argosy.simulation.balancing.record import Record


@dataclass(frozen=True, slots=True)
class Failure:
    """Failure of a replica for a time.

    From `since_s` until `until_s`, a request fails with `probability` after `after_s`, without any work.
    """

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
    """Time at which balancers first learn of the replica."""
    drains_s: float = math.inf
    """Time at which balancers are told to stop using the replica. It finishes the requests it has."""

    def unprotected(self) -> ReplicaModel:
        return replace(self, server=self.server.unprotected())


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Prompt prefixes of requests. A replica caches the `kept` prefixes that it used most recently."""

    drawn: Prefixing
    kept: int
    hit_share: float
    """Share of the work that remains when the replica has cached the prefix."""


@dataclass(frozen=True, slots=True)
class Retries:
    """Retry behaviour of callers on slow and failed answers. A guarded subject limits these retries."""

    timeout_s: float
    """Time after which an attempt without an answer is given up."""
    attempts: int = 3
    deadline_s: float = math.inf
    """Time after which a request without an answer has failed. A later answer does not count."""


class Measure(Protocol):
    """Figure of one run, beyond the quantiles, that a regime is designed to show."""

    @property
    def name(self) -> str: ...

    def of(self, record: Record) -> float:
        """Return the figure; NaN when the run does not have it."""
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
    """Replicas whose share of the picks is shown in the table."""
