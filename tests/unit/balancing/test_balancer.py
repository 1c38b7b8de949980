"""Requests in flight are counted exactly, whatever happens to a request and to its replica."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.balancing.balancer import REMEMBERED_S, RULE, Balancer
from argosy.balancing.lease import Lease
from argosy.balancing.outcome import LoadReport, OutcomeKind
from argosy.balancing.strategy import PickRequest
from argosy.contracts.errors import DeadlineExceeded, Unavailable, UpstreamFailed
from argosy.contracts.fleet import Endpoint

pytestmark = pytest.mark.unit

ENDPOINTS = [Endpoint(f"r{n}", f"http://127.0.0.1:{n}") for n in range(4)]
ONE, TWO = ENDPOINTS[:2]


class Now:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def balancer(strategy: str = "least_connections", now: Now | None = None) -> Balancer:
    return Balancer("store", strategy, clock=now or Now(), rng=random.Random(1))


def in_flight(of: Balancer) -> dict[str, int]:
    return {candidate.id: candidate.in_flight for candidate in of.candidates}


def test_what_failed_is_avoided_unless_it_is_all_there_is() -> None:
    picking = balancer()
    picking.update([ONE, TWO])
    with picking.lease() as first, picking.lease() as second:
        assert {first.endpoint, second.endpoint} == {ONE, TWO}
    with picking.lease(avoid=["r0"]) as lease:
        assert lease.endpoint == TWO
    picking.update([ONE])
    with picking.lease(avoid=["r0"]) as lease:
        assert lease.endpoint == ONE


def test_no_replica_is_said_with_the_service_named() -> None:
    with pytest.raises(Unavailable, match="store service has no running replica"), balancer().lease():
        pass


def test_round_robin_takes_turns_and_weight_gives_more_of_them() -> None:
    picking = balancer("round_robin")
    picking.update([Endpoint("a", "http://a", 5.0), Endpoint("b", "http://b"), Endpoint("c", "http://c")])
    assert "".join(picking.pick().endpoint.id for _ in range(7)) == "aabacaa"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("pick"), st.integers(0, 3)),
        st.tuples(st.just("end"), st.tuples(st.integers(0, 50), st.sampled_from(OutcomeKind))),
        st.tuples(st.just("end twice"), st.integers(0, 50)),
        st.tuples(st.just("update"), st.sets(st.integers(0, 3))),
        st.tuples(st.just("replace"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.floats(0, 2 * REMEMBERED_S)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("strategy", ["adaptive", "least_connections", "round_robin", "prequal"])
@settings(max_examples=40)
@given(steps)
def test_in_flight_never_leaks(strategy: str, happened: list[tuple[str, object]]) -> None:
    """Over cancellation, timeout, error, removal, return and replacement of replicas."""
    now = Now()
    picking = balancer(strategy, now)
    serving = dict(enumerate(ENDPOINTS))
    picking.update(ENDPOINTS)
    open_leases: list[Lease] = []
    for step, argument in happened:
        match step, argument:
            case "pick", int(avoided):
                if picking.candidates:
                    open_leases.append(picking.pick(PickRequest(avoid=[f"r{avoided}"])))
            case "end", (int(which), OutcomeKind() as kind):
                if open_leases:
                    open_leases.pop(which % len(open_leases)).end(kind)
            case "end twice", int(which):
                if open_leases:
                    lease = open_leases.pop(which % len(open_leases))
                    lease.end(OutcomeKind.OK)
                    lease.end(OutcomeKind.CANCELLED)
            case "update", set(numbers):
                picking.update([serving[n] for n in sorted(numbers)])
            case "replace", int(number):
                serving[number] = Endpoint(f"r{number}", f"{serving[number].url}0")
                picking.update(list(serving.values()))
            case "wait", float(seconds):
                now.s += seconds
        counted = in_flight(picking)
        assert all(count >= 0 for count in counted.values())
        assert sum(counted.values()) <= len(open_leases)
        assert len(picking.explain().replicas) == len(picking.candidates)
    for lease in open_leases:
        lease.end(OutcomeKind.TIMEOUT)
    assert set(in_flight(picking).values()) <= {0}
    picking.update(list(serving.values()))
    assert set(in_flight(picking).values()) == {0}


def test_a_replica_that_flaps_keeps_what_is_in_flight_to_it() -> None:
    picking = balancer()
    picking.update([ONE, TWO])
    lease = picking.pick(PickRequest(avoid=["r1"]))
    picking.update([TWO])
    picking.update([ONE, TWO])
    assert in_flight(picking) == {"r0": 1, "r1": 0}
    lease.end(OutcomeKind.OK)
    assert in_flight(picking) == {"r0": 0, "r1": 0}


def test_an_answer_of_one_that_was_replaced_says_nothing_about_its_successor() -> None:
    picking = balancer("peak_ewma")
    picking.update([ONE])
    lease = picking.pick()
    picking.update([Endpoint("r0", "http://127.0.0.1:9")])
    lease.end(OutcomeKind.ERROR)
    [row] = picking.explain().replicas
    assert (row.ended, row.failed, row.figures) == (0, 0, {})


@pytest.mark.parametrize(
    ("error", "answered", "ended", "failed"),
    [
        (asyncio.CancelledError(), None, 0, 0),
        (TimeoutError(), None, 1, 1),
        (RuntimeError(), None, 1, 1),
        (RuntimeError(), OutcomeKind.OK, 1, 0),
        (asyncio.CancelledError(), OutcomeKind.OK, 1, 0),
        (UpstreamFailed("The store service broke off its answer."), OutcomeKind.OK, 1, 1),
        (DeadlineExceeded("The store service did not finish."), OutcomeKind.OK, 1, 1),
        (RuntimeError(), OutcomeKind.ERROR, 1, 1),
    ],
)
def test_a_block_that_is_left_by_an_error_ends_its_lease(
    error: BaseException, answered: OutcomeKind | None, ended: int, failed: int
) -> None:
    picking = balancer()
    picking.update([ONE])

    def use() -> None:
        with picking.lease() as lease:
            if answered is not None:
                lease.answered(answered)
            raise error

    with pytest.raises(type(error)):
        use()
    [candidate] = picking.candidates
    assert (candidate.in_flight, candidate.ended, candidate.failed) == (0, ended, failed)


def test_the_latency_of_a_stream_ends_where_its_answer_begins() -> None:
    now = Now()
    picking = balancer("response_time", now)
    picking.update([ONE])
    with picking.lease() as lease:
        now.s += 0.25
        lease.answered(OutcomeKind.OK, LoadReport(rif=3))
        now.s += 60
        assert in_flight(picking) == {"r0": 1}
    [row] = picking.explain().replicas
    assert row.figures == {"average_ms": 250.0}
    assert row.report_age_s == 0


def test_one_pick_may_use_another_strategy() -> None:
    picking = balancer("round_robin")
    picking.update([ONE, TWO])
    again = [picking.pick(PickRequest(strategy="consistent_hash", key="k")).endpoint.id for _ in range(2)]
    assert len(set(again)) == 1
    assert [picking.pick().endpoint.id for _ in range(2)] == ["r0", "r1"]


def test_a_strategy_without_its_data_says_so_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = Now()
    picking = balancer("resource_usage", now)
    picking.update([ONE, TWO])
    with caplog.at_level(logging.INFO, "argosy"):
        for _ in range(3):
            picking.pick()
        assert [record.message for record in caplog.records] == ["strategy lacks data"]
        now.s += 61
        lease = picking.pick()
        assert len(caplog.records) == 2
    assert (picking.lacking_picks, picking.explain().lacks) == (4, "load reports")
    lease.end(OutcomeKind.OK, LoadReport(cpu_utilization=0.5))
    picking.pick()
    assert (picking.lacking_picks, picking.explain().lacks) == (4, "")


def test_shares_are_of_the_last_minute() -> None:
    now = Now()
    picking = balancer("round_robin", now)
    picking.update([ONE])
    picking.pick()
    now.s += 61
    picking.update([ONE, TWO])
    picking.pick(PickRequest(avoid=["r0"]))
    assert [row.picked_share for row in picking.explain().replicas] == [0, 1]


def test_a_probe_reaches_the_strategy_and_one_of_a_replica_that_is_gone_does_not() -> None:
    picking = balancer("prequal")
    picking.update([ONE, TWO])
    picking.pick()
    due = picking.due_probes()
    assert {endpoint.id for endpoint in due} == {"r0", "r1"}
    assert picking.due_probes() == []
    picking.probed("r0", LoadReport(rif=1, latency_ms=5))
    picking.probed("r1", None)
    picking.probed("r9", LoadReport(rif=1, latency_ms=5))
    assert [row.figures.get("probed_rif") for row in picking.explain().replicas] == [1, None]


def test_one_that_is_out_is_asked_before_it_is_tried_and_its_answer_counts() -> None:
    now = Now()
    picking = balancer("round_robin", now)
    picking.update([ONE, TWO])
    while not picking.out:
        with picking.lease() as lease:
            lease.end(OutcomeKind.ERROR if lease.endpoint.id == "r0" else OutcomeKind.OK)
    now.s += RULE.ejected_s
    picking.pick(PickRequest(avoid=["r0"])).end(OutcomeKind.OK)
    assert [endpoint.id for endpoint in picking.due_probes()] == ["r0"]
    picking.probed("r0", LoadReport(eps=1, rps=1))
    assert {picking.pick().endpoint.id for _ in range(4)} == {"r1"}
    now.s += RULE.ejected_s
    picking.probed("r0", LoadReport(eps=0, rps=1))
    assert picking.pick().endpoint.id == "r0"
