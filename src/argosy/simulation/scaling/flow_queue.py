"""Queue that is simulated as a flow of work, for loads with too many requests to serve one by one."""

from __future__ import annotations

import math

import numpy as np

from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.scaling.compiled import compiled
from argosy.simulation.scaling.ledger import Ledger
from argosy.simulation.scaling.load import STEP_S, Float32Array, Flow, Int32Array
from argosy.simulation.scaling.responses import CLASSES, TIMES_S, class_of
from argosy.simulation.scaling.service import SimulatedService

GRID = 1000
"""Steps of the table of the probability of being late after a wait."""
WORKS = 2000
"""Number of equally probable work times that represent the work of a request in quantiles."""


class FlowQueue:
    """Queue of work in seconds, from which each slot takes one second per second.

    The wait of a request is the work before it ÷ the slots. The model holds where a request's own work is short
    compared with the SLO.
    """

    def __init__(self, load: Flow, service: SimulatedService) -> None:
        self.ledger = Ledger(load.length_s)
        if service.slo_s is None:
            raise ValueError("work as a flow needs an SLO in seconds; set slo_s")
        self._load, self._service = load, service
        self._slots = 0
        self._state = np.zeros(1)
        self._waits = np.zeros(CLASSES)
        waits_s = np.linspace(0.0, service.slo_s, GRID)
        sample_s = np.sort(service.draw(200_000, np.random.default_rng(0)))
        after = np.searchsorted(sample_s, service.slo_s - waits_s, side="right")
        self._late: FloatArray = 1.0 - after / len(sample_s)
        self._works_s: FloatArray = np.quantile(sample_s, (np.arange(WORKS) + 0.5) / WORKS)

    def add(self, replica: int, at: int) -> None:
        self._slots += self._service.slots

    def drain(self, replica: int, at: int) -> float:
        self._slots -= self._service.slots
        return float(at)

    def advance(self, since: int, until: int) -> None:
        ledger, load, slo_s = self.ledger, self._load, self._service.slo_s or 0.0
        flow(
            since, until, self._slots, round(1 / STEP_S), STEP_S, self._service.mean_s, slo_s,
            load.counts, load.work_s, load.noise, self._late, self._state, self._waits,
            ledger.arrived, ledger.ended, ledger.late, ledger.present_s, ledger.busy_s, ledger.response_s,
            ledger.in_flight, ledger.waiting,
        )  # fmt: skip

    def left(self) -> int:
        return 0

    def waiting(self) -> float:
        return float(self._state[0]) / self._service.mean_s

    def responses_s(self) -> tuple[FloatArray, FloatArray]:
        """Return the sums of each wait and each possible work of the request itself."""
        waited = np.flatnonzero(self._waits)
        waits_s = np.where(waited == 0, 0.0, TIMES_S[waited])
        times_s: FloatArray = (waits_s[:, None] + self._works_s).ravel()
        weights: FloatArray = np.repeat(self._waits[waited] / WORKS, WORKS)
        return times_s, weights


@compiled
def flow(
    since: int, until: int, slots: int, each: int, step_s: float, mean_s: float, slo_s: float,
    counts: Int32Array, work_s: Float32Array, noise: Float32Array, late_after: FloatArray, state: FloatArray,
    waits: FloatArray,
    sum_arrived: FloatArray, sum_ended: FloatArray, sum_late: FloatArray, sum_present_s: FloatArray,
    sum_busy_s: FloatArray, sum_response_s: FloatArray, in_flight: FloatArray, waiting: FloatArray,
) -> None:  # fmt: skip
    """Serve seconds `since` to `until` in steps. `state[0]` is the waiting work in seconds."""
    backlog_s, last = state[0], len(late_after) - 1
    for second in range(since, until):
        arrived, late, busy_s, present_s, response_s, busy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for step in range(second * each, (second + 1) * each):
            came = counts[step]
            room_s = slots * step_s
            before_s = backlog_s
            backlog_s += work_s[step]
            done_s = min(backlog_s, room_s)
            backlog_s -= done_s
            if came > 0:
                # Requests arrive in the middle of the step on average: half of its work and half of its capacity are
                # before them.
                ahead_s = max(0.0, before_s + 0.5 * (work_s[step] - room_s))
                wait_s = ahead_s / slots if slots > 0 else 1e9
                place = int(wait_s / slo_s * last)
                late += came * (late_after[place] if place < last else 1.0)
                waits[class_of(wait_s)] += came
                response_s += came * (mean_s + min(wait_s, 3600.0))
                arrived += came
            busy = done_s / step_s
            busy_s += done_s
            present_s += done_s + (backlog_s / mean_s) * step_s
        queued = backlog_s / mean_s
        seen = busy_s + math.sqrt(max(0.0, busy_s * (1.0 - busy_s / max(slots, 1)))) * noise[second]
        in_flight[second + 1] = max(0.0, queued + (seen if queued < 1.0 else busy))
        waiting[second + 1] = queued
        sum_arrived[second + 1] = sum_arrived[second] + arrived
        # Count responses at arrival: each is known at most its wait later than it is counted here.
        sum_ended[second + 1] = sum_ended[second] + arrived
        sum_response_s[second + 1] = sum_response_s[second] + response_s
        sum_late[second + 1] = sum_late[second] + late
        sum_busy_s[second + 1] = sum_busy_s[second] + busy_s
        sum_present_s[second + 1] = sum_present_s[second] + present_s
    state[0] = backlog_s
