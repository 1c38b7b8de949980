"""Table of strategies. A new strategy needs its own file and one line here."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from argosy.balancing.strategies.adaptive import Adaptive
from argosy.balancing.strategies.consistent_hash import ConsistentHash
from argosy.balancing.strategies.least_connections import LeastConnections
from argosy.balancing.strategies.peak_ewma import PeakEwma
from argosy.balancing.strategies.power_of_two import PowerOfTwo
from argosy.balancing.strategies.prequal import Prequal
from argosy.balancing.strategies.resource_usage import ResourceUsage
from argosy.balancing.strategies.response_time import ResponseTime
from argosy.balancing.strategies.round_robin import RoundRobin
from argosy.balancing.strategies.weighted import Weighted
from argosy.balancing.strategy import Strategy
from argosy.contracts.errors import ConfigError

STRATEGIES: Mapping[str, Callable[[random.Random], Strategy]] = {
    "adaptive": Adaptive,
    "consistent_hash": ConsistentHash,
    "least_connections": LeastConnections,
    "peak_ewma": PeakEwma,
    "power_of_two": PowerOfTwo,
    "prequal": Prequal,
    "resource_usage": ResourceUsage,
    "response_time": ResponseTime,
    "round_robin": RoundRobin,
    "weighted": Weighted,
}


def create(name: str, rng: random.Random) -> Strategy:
    """Create the strategy of that name. Raises: ConfigError, which names the known strategies."""
    made = STRATEGIES.get(name)
    if made is None:
        raise ConfigError(f"There is no balancing strategy {name!r}; choose one of {', '.join(sorted(STRATEGIES))}.")
    return made(rng)
