"""The queue before the replicas, against theory and against itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from argosy.simulation.loads.durations import Exponential
from argosy.simulation.scaling.demand import Demand, steady
from argosy.simulation.scaling.flow_queue import FlowQueue
from argosy.simulation.scaling.load import STEP_S, Flow, Requests, draw
from argosy.simulation.scaling.queues import Queue
from argosy.simulation.scaling.request_queue import RequestQueue
from argosy.simulation.scaling.responses import quantiles
from argosy.simulation.scaling.service import SERVICES, SimulatedService

pytestmark = pytest.mark.unit


def requests(arrivals_s: list[float], work_s: list[float], length_s: int, slack_s: float = 0.0) -> Requests:
    count = len(arrivals_s)
    slack = np.full(count, slack_s, np.float32)
    return Requests(np.array(arrivals_s, np.float64), np.array(work_s, np.float32), slack, length_s)


def exact(load: Requests, slots: int) -> RequestQueue:
    return RequestQueue(load, SimulatedService("made up", Exponential(1.0), slots))


def late(line: Queue, seconds: int) -> float:
    return float(line.ledger.late[seconds])


@pytest.mark.parametrize(("slots", "load"), [(1, 0.7), (4, 3.2), (12, 10.0)])
def test_waits_follow_erlang_c(slots: int, load: float) -> None:
    """M/M/c: a wait is longer than t with probability C exp(-(c - a) t / s), and L = a + a C / (c - a)."""
    service = SimulatedService("made up", Exponential(0.05), slots=slots, slo_s=None)
    demand = steady(load / 0.05, 12_000)
    drawn = draw(demand, service, 1)
    assert isinstance(drawn, Requests)
    patient = Requests(drawn.arrivals_s, drawn.work_s, np.full(drawn.count, 0.02, np.float32), drawn.length_s)
    line = RequestQueue(patient, service)
    line.add(0, 0)
    line.advance(0, 12_000)
    blocking = 1.0
    for servers in range(1, slots + 1):
        blocking = load * blocking / (servers + load * blocking)
    waiting = slots * blocking / (slots - load * (1 - blocking))
    longer = waiting * math.exp(-(slots - load) * 0.02 / 0.05)
    assert late(line, 12_000) / drawn.count == pytest.approx(longer, rel=0.04)
    present = line.ledger.present_s[12_000] / 12_000
    assert present == pytest.approx(load + load * waiting / (slots - load), rel=0.03)
    assert line.ledger.busy_s[12_000] / 12_000 == pytest.approx(load, rel=0.01)
    ended = line.ledger.ended[12_000]
    assert line.ledger.response_s[12_000] / ended == pytest.approx(present / (load / 0.05), rel=0.01)


def test_response_times_of_one_slot_are_exponential() -> None:
    """M/M/1: a response is longer than t with probability exp(-(1 - a) t / s)."""
    service = SimulatedService("made up", Exponential(0.05), slots=1, slo_s=None)
    drawn = draw(steady(0.5 / 0.05, 18_000), service, 1)
    line = RequestQueue(drawn, service) if isinstance(drawn, Requests) else pytest.fail("not request by request")
    line.add(0, 0)
    line.advance(0, 18_000)
    found = quantiles(*line.responses_s(), (0.5, 0.99, 0.999))
    assert found == pytest.approx([0.1 * math.log(2), 0.1 * math.log(100), 0.1 * math.log(1000)], rel=0.08)


def test_requests_without_a_slot_at_the_end_are_counted() -> None:
    line = exact(requests([0.1, 0.2, 0.3], [20.0, 0.1, 0.1], 10), slots=1)
    line.add(0, 0)
    line.advance(0, 10)
    assert line.waiting() == 2
    assert quantiles(*line.responses_s(), (0.5,)) == pytest.approx([20.0], rel=0.011)
    assert quantiles(*exact(requests([], [], 10), slots=1).responses_s(), (0.5,)) is None


def test_requests_are_served_in_the_order_of_their_arrival() -> None:
    """One slot: the second waits for the first, though it is shorter; the third for both."""
    line = exact(requests([0.1, 0.2, 0.3], [2.0, 0.1, 0.1], 10, slack_s=1.95), slots=1)
    line.add(0, 0)
    line.advance(0, 10)
    assert line.ledger.response_s[10] == pytest.approx(2.0 + 2.0 + 2.0)
    assert late(line, 10) == 0
    assert line.ledger.in_flight.tolist()[:5] == [0, 3, 3, 0, 0]
    assert line.ledger.waiting.tolist()[:5] == [0, 2, 2, 0, 0]


def test_what_waits_goes_to_a_replica_that_becomes_ready() -> None:
    """The request does not go to the slot that would have been free first when it arrived."""
    line = exact(requests([0.0, 0.5], [10.0, 1.0], 20, slack_s=3.0), slots=1)
    line.add(0, 0)
    line.advance(0, 3)
    line.add(1, 3)
    line.advance(3, 20)
    assert line.ledger.ended[5] == 1
    assert line.ledger.response_s[5] == pytest.approx(3.5)
    assert late(line, 20) == 0


def test_a_drained_replica_finishes_what_it_has_and_takes_no_more() -> None:
    line = exact(requests([0.0, 0.5], [4.5, 1.0], 20, slack_s=100.0), slots=1)
    line.add(0, 0)
    line.advance(0, 2)
    assert line.drain(0, 2) == pytest.approx(4.5)
    line.advance(2, 10)
    assert line.ledger.waiting[10] == 1
    assert line.ledger.ended[10] == 1


def test_an_idle_replica_drains_at_once() -> None:
    line = exact(requests([0.0], [1.0], 20), slots=2)
    line.add(0, 0)
    line.advance(0, 5)
    assert line.drain(0, 5) == 5.0


def test_those_that_never_begin_count_as_late() -> None:
    line = exact(requests([0.0, 1.0, 2.0], [1.0, 1.0, 1.0], 5, slack_s=1.0), slots=1)
    line.advance(0, 5)
    assert late(line, 5) == 0
    assert line.left() == 3


def test_those_that_wait_at_the_end_are_late_if_they_would_be() -> None:
    line = exact(requests([0.0, 0.5, 0.6, 4.9], [4.9, 0.2, 0.2, 0.1], 5, slack_s=4.45), slots=1)
    line.add(0, 0)
    line.advance(0, 5)
    assert (late(line, 5), line.left()) == (0, 1)


@pytest.mark.parametrize(("replicas", "busy"), [(1, 0.93), (7, 6.3), (28, 27.0)])
def test_work_as_a_flow_comes_to_what_the_same_requests_come_to_one_by_one(replicas: int, busy: float) -> None:
    """Rates that swing above the capacity and back, so that a part of the requests is late."""
    flowing = SERVICES["embedding"]
    single = SimulatedService(flowing.name, flowing.work, flowing.slots, flowing.slo_s)
    wave = 1 + 0.2 * np.sin(np.arange(96) / 96 * 2 * np.pi * 3)
    drawn = draw(Demand("wave", 15, wave * busy / flowing.mean_s, np.empty(0)), single, 1)
    assert isinstance(drawn, Requests)
    found, highest = [], []
    for line in (RequestQueue(drawn, single), FlowQueue(flow_of(drawn), flowing)):
        for replica in range(replicas):
            line.add(replica, 0)
        line.advance(0, drawn.length_s)
        ledger = line.ledger
        share = (late(line, drawn.length_s) + line.left()) / drawn.count
        present = ledger.present_s[-1] / drawn.length_s
        busy_s = ledger.busy_s[-1] / drawn.length_s
        found.append((share, present, busy_s, ledger.response_s[-1] / ledger.ended[-1]))
        highest.append(quantiles(*line.responses_s(), (0.9, 0.99)))
    assert found[0][0] > 0.01
    assert found[1] == pytest.approx(found[0], rel=0.03)
    assert highest[1] == pytest.approx(highest[0], rel=0.06)


def flow_of(drawn: Requests) -> Flow:
    steps = round(drawn.length_s / STEP_S)
    step = (drawn.arrivals_s / STEP_S).astype(np.int64)
    counts = np.bincount(step, minlength=steps).astype(np.int32)
    work_s = np.bincount(step, drawn.work_s, minlength=steps).astype(np.float32)
    return Flow(counts, work_s, np.zeros(drawn.length_s, np.float32), drawn.length_s)
