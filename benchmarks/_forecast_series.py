"""Series on which the load forecast is judged: traces by minute, and synthetic series of different kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from argosy.simulation.loads.arrivals import Counted
from argosy.simulation.loads.traces import read_trace

LEAST_SCORED = 10_000
EVERY_REQUEST = 10**9
MADE_UP = (
    "diurnal",
    "weekly",
    "bursts by a clock",
    "bursts without a clock",
    "random walk",
    "regime switches",
    "low counts",
    "still at night",
)

Floats = npt.NDArray[np.float64]


def recorded(path: Path) -> Floats | None:
    """Return requests per second by minute; None when the trace is too short to test coverage.

    Raises: ConfigError when the file is not a trace.
    """
    arrivals = read_trace(path, EVERY_REQUEST).arrivals
    if not isinstance(arrivals, Counted):
        return None
    counts = np.array(arrivals.counts, np.float64)
    whole = len(counts) // 60
    return counts[: whole * 60].reshape(whole, 60).mean(1) if whole >= LEAST_SCORED else None


def made_up(kind: str, seed: int) -> Floats:
    """Return twelve days of Poisson counts, or three weeks for a weekly profile.

    The counts are 120 per minute on average, except for the series of low counts.
    """
    rng = np.random.default_rng(seed)
    time_min = np.arange((21 if kind == "weekly" else 12) * 1440)
    day = 1 + 0.6 * np.sin(2 * np.pi * time_min / 1440) + 0.2 * np.sin(4 * np.pi * time_min / 1440)
    level = np.exp(np.cumsum(rng.normal(0, 0.004, len(time_min))))
    shapes: dict[str, Callable[[], Floats]] = {
        "diurnal": lambda: day * level,
        "weekly": lambda: day * np.where(time_min // 1440 % 7 < 5, 1.0, 0.4) * level,
        "bursts by a clock": lambda: day * (1 + 3 * (time_min % 60 < 4)),
        "bursts without a clock": lambda: day * level * (1 + _bursts(rng, len(time_min))),
        "random walk": lambda: np.asarray(np.exp(np.cumsum(rng.normal(0, 0.01, len(time_min))))),
        "regime switches": lambda: _regimes(rng, len(time_min)),
        "low counts": lambda: np.full(len(time_min), 2 / 120),
        "still at night": lambda: day * (time_min % 1440 < 900),
    }
    rate: Floats = rng.poisson(120 * shapes[kind]()) / 60
    return rate


def _bursts(rng: np.random.Generator, count: int) -> Floats:
    bursts: Floats = np.convolve(rng.random(count) < 0.002, 2 * np.exp(-np.arange(60) / 10))[:count]
    return bursts


def _regimes(rng: np.random.Generator, count: int) -> Floats:
    """Return levels that last two hours on average. They do not show when they end or which level follows."""
    switches = np.cumsum(rng.random(count) < 1 / 120)
    levels: Floats = rng.choice([0.3, 1.0, 2.0, 4.0], count)[switches]
    return levels
