"""Queues before all replicas, first come, first served: simulated request by request, or as a flow of work."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.scaling.compiled import compiled
from argosy.simulation.scaling.ledger import Ledger
from argosy.simulation.scaling.load import STEP_S, Float32Array, Flow, Int32Array, Load, Requests
from argosy.simulation.scaling.responses import CLASSES, TIMES_S, class_of
from argosy.simulation.scaling.service import SimulatedService

GRID = 1000
"""Steps of the table of the probability of being late after a wait."""
WORKS = 2000
"""Number of equally probable work times that represent the work of a request in quantiles."""


class ReplicaGroup(Protocol):
    """Replicas that serve a queue. They join and leave between seconds."""

    def add(self, replica: int, at: int) -> None:
        """Add a replica that serves from second `at` on."""
        ...

    def drain(self, replica: int, at: int) -> float:
        """Stop sending requests to a replica from second `at` on. Return when it has finished its requests."""
        ...


class Queue(ReplicaGroup, Protocol):
    ledger: Ledger

    def advance(self, since: int, until: int) -> None: ...

    def left(self) -> int:
        """Return the requests that have no slot at the end and are or will be late with the present replicas."""
        ...

    def waiting(self) -> float:
        """Return the requests that have no slot at the end."""
        ...

    def responses_s(self) -> tuple[FloatArray, FloatArray]:
        """Return the response times of the requests that had one, in seconds, and the weight of each time."""
        ...


def queue(load: Load, service: SimulatedService) -> Queue:
    return FlowQueue(load, service) if isinstance(load, Flow) else RequestQueue(load, service)


class RequestQueue:
    """Queue after Kiefer and Wolfowitz: the next request takes the slot that is free first.

    Slots are those of the second in which the request starts.
    """

    def __init__(self, load: Requests, service: SimulatedService) -> None:
        self.ledger = Ledger(load.length_s)
        self._load, self._slots = load, service.slots
        self._free_s: FloatArray = np.empty(64)
        self._owner: npt.NDArray[np.int64] = np.empty(64, np.int64)
        self._size = 0
        self._head = 0
        self._ended, self._ended_share, self._response = (np.zeros(load.length_s + 1) for _ in range(3))
        self._responses = np.zeros(CLASSES)

    def add(self, replica: int, at: int) -> None:
        while self._size + self._slots > len(self._free_s):
            self._free_s, self._owner = np.resize(self._free_s, 2 * self._size), np.resize(self._owner, 2 * self._size)
        for _ in range(self._slots):
            self._size = push(self._free_s, self._owner, self._size, float(at), replica)

    def drain(self, replica: int, at: int) -> float:
        mine = self._owner[: self._size] == replica
        ends_s = max(float(at), float(self._free_s[: self._size][mine].max(initial=0.0)))
        # The order is sorted, so the array is a heap again.
        order = np.argsort(self._free_s[: self._size][~mine], kind="stable")
        free_s, owner = self._free_s[: self._size][~mine][order], self._owner[: self._size][~mine][order]
        self._size = len(order)
        self._free_s[: self._size], self._owner[: self._size] = free_s, owner
        return ends_s

    def advance(self, since: int, until: int) -> None:
        ledger, load = self.ledger, self._load
        self._head = serve(
            since, until, self._head, load.arrivals_s, load.work_s, load.slack_s,
            self._free_s, self._owner, self._size,
            load.arrived, load.arrived_share, self._ended, self._ended_share, self._response, self._responses,
            ledger.arrived, ledger.ended, ledger.late, ledger.present_s, ledger.busy_s, ledger.response_s,
            ledger.in_flight, ledger.waiting,
        )  # fmt: skip

    def left(self) -> int:
        load = self._load
        return late_of_the_rest(
            self._head, load.arrivals_s, load.work_s, load.slack_s, self._free_s[: self._size].copy(), self._size
        )

    def waiting(self) -> float:
        return float(self._load.count - self._head)

    def responses_s(self) -> tuple[FloatArray, FloatArray]:
        return TIMES_S, self._responses


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
def push(free_s: FloatArray, owner: npt.NDArray[np.int64], size: int, at_s: float, replica: int) -> int:
    """Push a slot onto the heap and return the heap's new size."""
    place = size
    while place > 0:
        above = (place - 1) >> 1
        if free_s[above] <= at_s:
            break
        free_s[place], owner[place] = free_s[above], owner[above]
        place = above
    free_s[place], owner[place] = at_s, replica
    return size + 1


@compiled
def take_first(free_s: FloatArray, owner: npt.NDArray[np.int64], size: int, until_s: float) -> None:
    """Occupy the slot that is free first until `until_s`."""
    replica, place = owner[0], 0
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        if below + 1 < size and free_s[below + 1] < free_s[below]:
            below += 1
        if free_s[below] >= until_s:
            break
        free_s[place], owner[place] = free_s[below], owner[below]
        place = below
    free_s[place], owner[place] = until_s, replica


@compiled
def serve(
    since: int, until: int, head: int, arrivals_s: FloatArray, work_s: Float32Array, slack_s: Float32Array,
    free_s: FloatArray, owner: npt.NDArray[np.int64], size: int,
    arrived: FloatArray, arrived_share: FloatArray, ended: FloatArray, ended_share: FloatArray, response: FloatArray,
    responses: FloatArray,
    sum_arrived: FloatArray, sum_ended: FloatArray, sum_late: FloatArray, sum_present_s: FloatArray,
    sum_busy_s: FloatArray, sum_response_s: FloatArray, in_flight: FloatArray, waiting: FloatArray,
) -> int:  # fmt: skip
    """Serve seconds `since` to `until` with the slots of the heap. A second decides only the starts within it.

    `ended`, `ended_share` and `response` are written ahead, at the second in which a request will end. Returns the
    index of the first request that has not started.
    """
    count, seconds = len(arrivals_s), len(ended) - 1
    for second in range(since, until):
        end_s = float(second + 1)
        started, started_share, late = 0.0, 0.0, 0.0
        while head < count and size > 0:
            start_s = max(arrivals_s[head], free_s[0])
            if start_s >= end_s:
                break
            work = float(work_s[head])
            done_s = start_s + work
            take_first(free_s, owner, size, done_s)
            wait_s = start_s - arrivals_s[head]
            if wait_s > slack_s[head] + 1e-6:
                late += 1.0
            started += 1.0
            started_share += end_s - start_s
            ending = int(done_s)
            if ending < seconds:
                ended[ending] += 1.0
                ended_share[ending] += ending + 1 - done_s
                response[ending] += wait_s + work
            responses[class_of(wait_s + work)] += 1.0
            head += 1
        before = in_flight[second]
        busy = before - waiting[second]
        in_flight[second + 1] = before + arrived[second] - ended[second]
        waiting[second + 1] = in_flight[second + 1] - (busy + started - ended[second])
        sum_present_s[second + 1] = sum_present_s[second] + before + arrived_share[second] - ended_share[second]
        sum_busy_s[second + 1] = sum_busy_s[second] + busy + started_share - ended_share[second]
        sum_arrived[second + 1] = sum_arrived[second] + arrived[second]
        sum_ended[second + 1] = sum_ended[second] + ended[second]
        sum_response_s[second + 1] = sum_response_s[second] + response[second]
        sum_late[second + 1] = sum_late[second] + late
    return head


@compiled
def late_of_the_rest(
    head: int, arrivals_s: FloatArray, work_s: Float32Array, slack_s: Float32Array, free_s: FloatArray, size: int
) -> int:
    """Count the requests that have not started and will be late if the present slots stay."""
    owner = np.zeros(max(size, 1), np.int64)
    late = 0
    for request in range(head, len(arrivals_s)):
        if size == 0:
            late += 1
            continue
        start_s = max(arrivals_s[request], free_s[0])
        take_first(free_s, owner, size, start_s + float(work_s[request]))
        if start_s - arrivals_s[request] > slack_s[request] + 1e-6:
            late += 1
    return late


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
