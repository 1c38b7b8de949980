"""Figures of a run beyond its latency quantiles, such as how fast a balancer detects a failure and a repair.

They are classes and not closures because a regime is pickled and sent to other processes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from argosy.simulation.balancing.record import Record

NOTICED_S = 10.0
WINDOW_S = 2.0
GOODPUT_BIN_S = 5.0
WELL_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class ShareOfFair:
    """Share of picks divided by the fair share (1 is fair).

    The picks are those in the window of WINDOW_S that ends NOTICED_S after `since_s`.
    """

    name: str
    replicas: tuple[int, ...]
    since_s: float

    def of(self, record: Record) -> float:
        end_s = self.since_s + NOTICED_S
        share = record.share(self.replicas, end_s - WINDOW_S, end_s)
        return share * record.replicas / len(self.replicas)


@dataclass(frozen=True, slots=True)
class PicksWithin:
    """Number of picks that went to the given replicas within NOTICED_S after `since_s`."""

    name: str
    replicas: tuple[int, ...]
    since_s: float

    def of(self, record: Record) -> float:
        return record.picks(self.replicas, self.since_s, self.since_s + NOTICED_S)


@dataclass(frozen=True, slots=True)
class BackInService:
    """Seconds after `since_s` until the replica has half its fair share in a window; NaN when it never does."""

    name: str
    replica: int
    since_s: float

    def of(self, record: Record) -> float:
        at_s = self.since_s
        while at_s + WINDOW_S <= record.arrivals_s[-1]:
            if record.share((self.replica,), at_s, at_s + WINDOW_S) * record.replicas >= 0.5:
                return at_s - self.since_s
            at_s += WINDOW_S / 4
        return math.nan


@dataclass(frozen=True, slots=True)
class GoodputFloor:
    """Lowest goodput of any GOODPUT_BIN_S between two moments, divided by the capacity in that time."""

    name: str
    since_s: float
    until_s: float
    capacity_rps: float

    def of(self, record: Record) -> float:
        # Skip the first bin: requests served in it arrived and queued before the period.
        bins = record.goodput_rps(self.since_s + GOODPUT_BIN_S, self.until_s, GOODPUT_BIN_S)
        return float(bins.min()) / self.capacity_rps


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds until the service has recovered; NaN when it never does.

    From then on, at least WELL_SHARE of the arrivals of every second are served. The time starts at `since_s`.
    """

    name: str
    since_s: float

    def of(self, record: Record) -> float:
        edges = np.arange(self.since_s, record.arrivals_s[-1], 1.0)
        arrived = np.histogram(record.arrivals_s, edges)[0]
        served = np.histogram(record.arrivals_s[record.served], edges)[0]
        bad = np.flatnonzero(served < WELL_SHARE * arrived)
        if not len(bad):
            return 0.0
        return math.nan if bad[-1] == len(arrived) - 1 else float(bad[-1] + 1)
