"""What the last days would have cost under another hold or utilisation: fleets replayed as a flow, and the best.

A candidate's fleet is `predictive` without its guards. In each bin of BIN_S it sees the load of the bin before, what
its own backlog adds and what the forecast of that moment asked for, keeps the highest wish of each hold, gets a new
replica after the cold start and loses one at once. Late are those that a queue in equilibrium makes wait longer than
the slack, or, while there is a backlog, those that it holds up. All of it runs over time at once: a hold is a sliding
maximum, a cold start a sliding minimum, a backlog a sum less its lowest value so far (Lindley 1952).

It is a model that ranks candidates and does not predict their cost. No look-ahead: the forecasts are those of the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import msgspec
import numpy as np
import numpy.typing as npt

from argosy.control.prediction.analogue import BIN_S, LOAD_BINS
from argosy.control.prediction.arrays import Floats
from argosy.control.scaling.observation import Capacity
from argosy.control.scaling.queueing import effective, late_share

HOLDS_S = (60.0, 300.0, 900.0, 3600.0)
UTILISATIONS = (0.5, 0.65, 0.8, 0.95)
"""Without the forecast."""
WATCHED_HOLD_S = 30.0
WATCHED_UTILISATION = 0.95
"""With it: the load as it is only has to be followed where the forecast was wrong."""
PEAK_HOLDS_S = (300.0, 1800.0, 3600.0)
"""Of what the forecast asked for. It wavers from bin to bin, and a replica that is taken back starts anew."""
PEAK_LATE = (0.3, 0.1, 0.03, 0.01, 0.002)
"""What the forecast asked for is recorded for each of these."""
NO_FORECAST = 1.0
"""A peak that may bring everything late asks for nothing."""
LEAST_GAIN = 0.05
PASSES = 2
"""Each lets the backlog of the one before raise the wish."""
GRID = 1024
MOST_SERVERS = 2000

Counts = npt.NDArray[np.int32]


class Candidate(msgspec.Struct, frozen=True):
    hold_s: float
    utilisation: float
    peak_late: float
    """Share of late answers that the expected peak may bring."""
    peak_hold_s: float


class Shadow(msgspec.Struct, frozen=True):
    """The fleet that is replayed."""

    capacity: Capacity
    cold_start_s: float
    slack_s: float
    """How long a request may wait."""
    late_share: float
    """The SLO's."""
    min_replicas: int
    max_replicas: int


class Bill(msgspec.Struct, frozen=True):
    late: float
    """Requests."""
    requests: float
    replica_s: float

    def total_s(self, violation_cost_s: float) -> float:
        return self.replica_s + violation_cost_s * self.late


def candidates() -> list[Candidate]:
    reactive = [Candidate(hold_s, share, NO_FORECAST, hold_s) for hold_s, share in product(HOLDS_S, UTILISATIONS)]
    watched = [Candidate(WATCHED_HOLD_S, WATCHED_UTILISATION, *values) for values in product(PEAK_LATE, PEAK_HOLDS_S)]
    return reactive + watched


class Replay:
    """Of one history.

    Args:
        loads: Erlangs in each bin of BIN_S, NaN where it is not known: such bins cost nothing, and the last
            load stands in for them.
        asked: by PEAK_LATE, the replicas that the forecast asked for in each bin; NaN where there was none.
    """

    def __init__(self, loads: Floats, asked: Sequence[Floats], shadow: Shadow) -> None:
        self._shadow = shadow
        self._known = np.isfinite(loads) & (loads >= 0)
        self._loads = _held(loads, self._known)
        self._means = _trailing_mean(self._loads, LOAD_BINS)
        self._seen = np.concatenate((self._loads[:1], self._loads[:-1]))
        self._asked = [np.nan_to_num(np.clip(replicas, 0, 10**6), nan=0.0).astype(np.int32) for replicas in asked]
        self._late, self._step = late_table(shadow)
        self.passes = 0
        """How often a candidate went over the history; what a replay costs."""

    def bill(self, candidate: Candidate) -> Bill:
        late, wanted = self.course(candidate)
        return Bill(float(late.sum()), float(self.requests.sum()), float(wanted[self._known].sum()) * BIN_S)

    @property
    def requests(self) -> Floats:
        """In each bin."""
        return np.where(self._known, self._loads, 0.0) * BIN_S / self._shadow.capacity.service_time_s

    def course(self, candidate: Candidate) -> tuple[Floats, Counts]:
        """In each bin: requests that are late, and replicas that are paid."""
        shadow, capacity = self._shadow, self._shadow.capacity
        works = _servers(shadow)
        backlog = np.zeros_like(self._loads)
        ready = wanted = np.zeros(0, np.int32)
        asked = np.zeros(len(self._loads), np.int32)
        if candidate.peak_late in PEAK_LATE:
            asked = self._asked[PEAK_LATE.index(candidate.peak_late)]
            asked = _trailing(asked, _bins(candidate.peak_hold_s), np.maximum)
        for _ in range(PASSES):
            self.passes += 1
            before = np.concatenate(([0.0], backlog[:-1]))
            in_flight = self._seen + before / capacity.service_time_s
            wish = np.ceil(in_flight / (capacity.slots * candidate.utilisation) - 1e-9).astype(np.int32)
            wish = np.maximum(wish, self._fewest(in_flight, shadow.late_share))
            kept = _trailing(wish, _bins(candidate.hold_s), np.maximum)
            wanted = np.clip(np.maximum(kept, asked), shadow.min_replicas, shadow.max_replicas)
            ready = _trailing(wanted, 1 + _bins(shadow.cold_start_s), np.minimum)
            excess = np.cumsum((self._loads - works[ready]) * BIN_S)
            backlog = excess - np.minimum.accumulate(np.minimum(excess, 0.0))
        before = np.concatenate(([0.0], backlog[:-1]))
        wait_s = (before + backlog) / 2 / np.maximum(works[ready], 1e-9)
        held_up = -np.expm1(-wait_s / max(shadow.slack_s, 1e-9))
        late = np.maximum(held_up, self._late[ready, self._cell(self._means)])
        return late * self.requests, wanted

    def _fewest(self, loads: Floats, late: float) -> Counts:
        """The fewest replicas that let no larger share be late; where none do, all."""
        enough = self._late <= late
        fewest = np.where(enough.any(0), enough.argmax(0), self._shadow.max_replicas).astype(np.int32)
        return fewest[self._cell(loads)]

    def _cell(self, loads: Floats) -> npt.NDArray[np.int64]:
        return np.minimum(np.ceil(loads / self._step), GRID - 1).astype(np.int64)


def best(replay: Replay, now: Candidate, among: Sequence[Candidate], violation_cost_s: float) -> tuple[Candidate, Bill]:
    """What to use from now on: `now`, unless another would have cost less by LEAST_GAIN."""
    present = replay.bill(now)
    bills = {candidate: replay.bill(candidate) for candidate in among if candidate != now}
    found = min(bills, key=lambda candidate: bills[candidate].total_s(violation_cost_s), default=now)
    if found == now or bills[found].total_s(violation_cost_s) > (1 - LEAST_GAIN) * present.total_s(violation_cost_s):
        return now, present
    return found, bills[found]


def _servers(shadow: Shadow) -> Floats:
    """Requests that 0, 1, 2 … replicas work on at once."""
    capacity = shadow.capacity
    works = [0.0] + [effective(n, capacity) * capacity.slots for n in range(1, shadow.max_replicas + 1)]
    return np.array(works, np.float64)


def late_table(shadow: Shadow) -> tuple[Floats, float]:
    """Late share by (replicas, load ÷ step), rounded up in the load; and the step, in Erlangs."""
    capacity = shadow.capacity
    servers = np.clip(np.floor(_servers(shadow) + 1e-9), 1, MOST_SERVERS).astype(int)
    step = float(servers.max()) / (GRID - 1)
    loads = np.arange(GRID) * step
    slack = shadow.slack_s / capacity.service_time_s
    variability = (capacity.arrival_cv2 + capacity.service_cv2) / 2
    table = np.ones((len(servers), GRID))
    blocking, counted = np.ones(GRID), 0
    for replicas in range(1, len(servers)):
        if servers[replicas] < counted:
            table[replicas] = table[replicas - 1]  # retrograde: more replicas only lose from here
            continue
        while counted < servers[replicas]:
            counted += 1
            blocking = loads * blocking / (counted + loads * blocking)
        pairs = zip(loads.tolist(), blocking.tolist(), strict=True)
        table[replicas] = [min(1.0, late_share(a, counted, b, slack, variability)) for a, b in pairs]
    return table, step


def _bins(seconds: float) -> int:
    return max(1, math.ceil(seconds / BIN_S - 1e-9))


def _held(loads: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Unknown values become the last known one."""
    last = np.maximum.accumulate(np.where(known, np.arange(len(loads)), -1))
    return np.where(last >= 0, loads[np.maximum(last, 0)], 0.0)


def _trailing(values: npt.NDArray[np.int32], length: int, highest: np.ufunc) -> Counts:
    """`highest` (or lowest) of each value and the `length − 1` before it, by doubling."""
    found, covered = values.astype(np.int32), 1
    while covered < min(length, len(values)):
        step = min(covered, length - covered)
        found = np.concatenate((found[:step], highest(found[step:], found[:-step])))
        covered += step
    return found


def _trailing_mean(values: Floats, length: int) -> Floats:
    totals = np.concatenate(([0.0], np.cumsum(values)))
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - length, 0)
    means: Floats = (totals[ends] - totals[begins]) / (ends - begins)
    return np.maximum(means, 0.0)
