"""A balancer's explanation agrees with its picks."""

from __future__ import annotations

import random

import pytest

from argosy.balancing.balancer import Balancer
from argosy.balancing.outcome import OutcomeKind
from argosy.contracts.balance import ReplicaExplanation
from argosy.contracts.fleet import Endpoint

pytestmark = pytest.mark.unit

ENDPOINTS = [Endpoint(f"r{n}", f"http://r{n}") for n in range(3)]


def rows(picking: Balancer) -> dict[str, ReplicaExplanation]:
    return {row.id: row for row in picking.explain().replicas}


def spend(picking: Balancer, failing: set[str], picks: int = 200) -> None:
    for _ in range(picks):
        lease = picking.pick()
        lease.end(OutcomeKind.ERROR if lease.endpoint.id in failing else OutcomeKind.OK)


def test_one_that_is_out_has_no_weight_and_a_reason() -> None:
    picking = Balancer("store", "least_connections", clock=lambda: 1.0, rng=random.Random(1))
    picking.update(ENDPOINTS)
    spend(picking, {"r0"})
    said = rows(picking)
    assert (said["r0"].state, said["r0"].weight) == ("out", 0.0)
    assert said["r0"].why.startswith("fails (error)")
    assert said["r0"].failed == said["r0"].ended == 3
    assert [(said[name].state, said[name].weight, said[name].why) for name in ("r1", "r2")] == [("in", 1.0, "")] * 2


def test_in_panic_those_that_are_out_are_picked_and_said_to_be() -> None:
    picking = Balancer("store", "least_connections", clock=lambda: 1.0, rng=random.Random(1))
    picking.update(ENDPOINTS)
    spend(picking, {"r0", "r1"}, 20)
    before = rows(picking)
    spend(picking, {"r0", "r1"})
    after = rows(picking)
    assert picking.explain().panic
    assert {name: row.weight for name, row in after.items()} == {"r0": 1.0, "r1": 1.0, "r2": 1.0}
    assert after["r0"].ended > before["r0"].ended


def test_a_newcomer_says_that_it_starts_slowly() -> None:
    now_s = 1.0
    picking = Balancer("store", "least_connections", clock=lambda: now_s)
    picking.update(ENDPOINTS[:2])
    now_s = 10.0
    picking.update(ENDPOINTS)
    said = rows(picking)["r2"]
    assert (said.state, said.why) == ("in", "starts slowly")
    assert 0 < said.weight < 1


def test_picks_older_than_a_minute_are_not_counted() -> None:
    now_s = 1.0
    picking = Balancer("store", "round_robin", clock=lambda: now_s)
    picking.update(ENDPOINTS)
    spend(picking, set(), 30)
    assert picking.explain().picks == 30
    assert rows(picking)["r0"].picked_share == pytest.approx(1 / 3)
    now_s = 62.0
    spend(picking, set(), 3)
    assert picking.explain().picks == 3
    assert sum(row.ended for row in picking.explain().replicas) == 33
