"""Queue that is simulated request by request: the next request takes the slot that is free first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from argosy.simulation.loads.arrivals import FloatArray
from argosy.simulation.scaling.compiled import compiled
from argosy.simulation.scaling.ledger import Ledger
from argosy.simulation.scaling.load import Float32Array, Requests
from argosy.simulation.scaling.responses import CLASSES, TIMES_S, class_of
from argosy.simulation.scaling.service import SimulatedService


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
