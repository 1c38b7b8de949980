"""The cost of replicas, and the time from which they serve."""

from __future__ import annotations

import pytest

from argosy.simulation.scaling.fleet import SimulatedFleet

pytestmark = pytest.mark.unit


class Recorder:
    """Replicas that take `busy_s` to drain."""

    def __init__(self, busy_s: float = 0.0) -> None:
        self.busy_s = busy_s
        self.serving: list[int] = []
        self.served_from: dict[int, int] = {}

    def add(self, replica: int, at: int) -> None:
        self.serving.append(replica)
        self.served_from[replica] = at

    def drain(self, replica: int, at: int) -> float:
        self.serving.remove(replica)
        return at + self.busy_s


def test_a_replica_serves_one_cold_start_after_its_launch_and_is_paid_for_from_the_launch() -> None:
    line = Recorder()
    fleet = SimulatedFleet(line, cold_start_s=30, ready=1)
    fleet.scale(2, 100)
    assert (fleet.replicas, fleet.ready, fleet.next_ready_s()) == (2, 1, 130)
    fleet.become_ready(129)
    assert fleet.ready == 1
    fleet.become_ready(130)
    assert (fleet.ready, line.served_from[1]) == (2, 130)
    assert fleet.paid_s(200) == 200 + 100


def test_the_drain_is_paid_for() -> None:
    fleet = SimulatedFleet(Recorder(busy_s=12.5), cold_start_s=30, ready=2)
    fleet.scale(1, 100)
    assert fleet.paid_s(200) == 200 + 112.5


def test_what_is_starting_goes_first_and_costs_what_it_ran() -> None:
    line = Recorder(busy_s=50)
    fleet = SimulatedFleet(line, cold_start_s=30, ready=1)
    fleet.scale(2, 0)
    fleet.scale(3, 4)
    fleet.scale(2, 10)
    assert (fleet.replicas, fleet.ready, fleet.next_ready_s()) == (2, 1, 30)
    fleet.scale(1, 20)
    assert line.serving == [0]
    assert fleet.paid_s(100) == 100 + 6 + 20


def test_the_replica_that_became_ready_last_is_drained_first() -> None:
    line = Recorder()
    fleet = SimulatedFleet(line, cold_start_s=5, ready=1)
    fleet.scale(3, 0)
    fleet.become_ready(5)
    fleet.scale(2, 10)
    assert line.serving == [0, 1]


def test_without_a_cold_start_it_serves_at_once() -> None:
    fleet = SimulatedFleet(Recorder(), cold_start_s=0, ready=1)
    fleet.scale(4, 7)
    assert (fleet.ready, fleet.next_ready_s()) == (4, None)
