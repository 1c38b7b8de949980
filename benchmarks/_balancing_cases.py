"""Cases of benchmarks/balancing.py: regimes and their variants, each with the strategies that its aim needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from argosy.simulation.balancing.regime import Regime
from argosy.simulation.balancing.regimes import (
    antagonists,
    brownout,
    bursty,
    churn,
    diurnal,
    equal,
    fast_fail,
    flash_crowd,
    hot_prefix,
    mixed,
    retry_storm,
    unequal,
)
from argosy.simulation.loads.durations import Constant
from argosy.simulation.servers.slots import Slots

ALL = (
    "adaptive", "round_robin", "least_connections", "power_of_two", "response_time", "resource_usage", "weighted",
    "peak_ewma", "prequal", "consistent_hash",
)  # fmt: skip
NAMED = ("adaptive", "round_robin", "least_connections", "peak_ewma", "prequal")
FAILING = ("adaptive", "least_connections", "least_connections:guarded", "peak_ewma")
STORM = ("adaptive", "adaptive:alone", "least_connections:guarded", "least_connections")
BOTH = (1, 8)


@dataclass(frozen=True, slots=True)
class Case:
    title: str
    regime: Regime
    subjects: Sequence[str]
    callers: Sequence[int] = BOTH


AIMED: Mapping[str, Case] = {
    "unequal": Case("14 + 2 that are 16x slower", unequal(), ALL),
    "equal": Case("4 equal, processor sharing", equal(), ALL),
    "equal_fcfs": Case("4 equal, first come first served", equal(server=Slots(1)), ALL),
    "mixed": Case("2 of 4 at 3x", mixed(), NAMED),
    "fast_fail": Case("1 of 8 fails always", fast_fail(), FAILING),
    "fast_fail_50": Case("1 of 8 fails half the time", fast_fail(0.5), FAILING),
    "fast_fail_20": Case("1 of 8 fails one in five", fast_fail(0.2), FAILING),
    "brownout": Case("two recover, another slows down", brownout(), NAMED),
    "churn": Case("replicas come and go", churn(), NAMED),
    "retry_storm": Case("a brownout and eager retries", retry_storm(), STORM),
    "flash_crowd": Case("ten times the load for a minute", flash_crowd(), STORM),
}
"""Cases that have an aim."""

VARIANTS: Mapping[str, Case] = {
    "slow_1": Case("1 slow replica of 16", unequal(slow=1), NAMED),
    "slow_4": Case("4 slow replicas of 16", unequal(slow=4), NAMED),
    "times_2": Case("2 of 16 at 2x", unequal(times=2), NAMED),
    "times_4": Case("2 of 16 at 4x", unequal(times=4), NAMED),
    "times_8": Case("2 of 16 at 8x", unequal(times=8), NAMED),
    "mean_50_ms": Case("work of 50 ms", unequal(work_mean_s=0.05), NAMED),
    "rps_100": Case("100 rps", unequal(rate_rps=100), NAMED),
    "rps_2000": Case("2,000 rps", unequal(rate_rps=2000), NAMED),
    "fixed": Case("every request takes 10 ms", replace(unequal(), work=Constant(0.01)), NAMED),
}
"""Variants of `unequal` with one value changed."""

OTHERS: Mapping[str, Case] = {
    "hot_prefix": Case("cold caches", hot_prefix(), (*NAMED, "consistent_hash"), (1,)),
    "bursty": Case("bursts", bursty(), NAMED, (1,)),
    "diurnal": Case("day and night", diurnal(), NAMED, (1,)),
    "antagonists": Case("noisy neighbours", antagonists(), NAMED, (1,)),
}

CASES: Mapping[str, Case] = {**AIMED, **VARIANTS, **OTHERS}
