"""Each strategy that is known by name, on numbers worked out by hand."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.balancing.candidate import Candidate
from argosy.balancing.outcome import LoadReport, Outcome, OutcomeKind
from argosy.balancing.strategies.consistent_hash import EPSILON
from argosy.balancing.strategy import FULL_SCAN_MOST, PickRequest, Strategy
from argosy.balancing.table import create
from argosy.contracts.fleet import Endpoint

pytestmark = pytest.mark.unit

ANY = PickRequest()


def offered(count: int) -> list[Candidate]:
    return [Candidate(Endpoint(f"r{n}", f"http://r{n}")) for n in range(count)]


def strategy(name: str) -> Strategy:
    return create(name, random.Random(1))


def took(of: Strategy, candidate: Candidate, latency_s: float, now_s: float = 0.0) -> None:
    of.ended(candidate, Outcome(OutcomeKind.OK, latency_s), now_s)


def told(of: Strategy, candidate: Candidate, report: LoadReport, now_s: float) -> None:
    candidate.report, candidate.reported_s = report, now_s
    of.ended(candidate, Outcome(OutcomeKind.OK, 0.01, report), now_s)


def test_response_time_is_the_average_times_one_and_a_tenth_of_the_active() -> None:
    asked, (one, two) = strategy("response_time"), offered(2)
    for latency_s in (0.010, 0.030):
        took(asked, one, latency_s)
    took(asked, two, 0.030)
    one.in_flight = 4
    assert asked.pick([one, two], ANY, 0.0) is one  # 20 × 1.4 = 28 against 30
    one.in_flight = 6
    assert asked.pick([one, two], ANY, 0.0) is two  # 20 × 1.6 = 32 against 30


def test_peak_ewma_jumps_up_and_comes_down_in_ten_seconds() -> None:
    asked, (one, two) = strategy("peak_ewma"), offered(2)
    took(asked, one, 0.010)
    took(asked, two, 0.100)
    took(asked, one, 1.000)
    assert asked.pick([one, two], ANY, 0.0) is two
    took(asked, one, 0.0, 10.0)
    assert asked.explain(one, 10.0)["peak_ewma_ms"] == pytest.approx(1000 / 2.718281828)
    two.in_flight = 5
    took(asked, two, 0.100, 10.0)
    assert asked.pick([one, two], ANY, 10.0) is one  # 368 × 1 against 100 × 6


def test_peak_ewma_waits_for_one_that_never_answered() -> None:
    asked, (one, two) = strategy("peak_ewma"), offered(2)
    took(asked, one, 5.0)
    assert asked.pick([one, two], ANY, 0.0) is two
    two.in_flight = 1
    assert asked.pick([one, two], ANY, 0.0) is one


def test_weighted_gives_by_requests_per_second_over_utilisation_after_the_blackout() -> None:
    asked, replicas = strategy("weighted"), offered(2)
    for at_s in (0.0, 5.0):
        told(asked, replicas[0], LoadReport(rps=100, application_utilization=0.25), at_s)
        told(asked, replicas[1], LoadReport(rps=100, cpu_utilization=0.75), at_s)
    even = Counter(asked.pick(replicas, ANY, 9.0).id for _ in range(400))
    assert abs(even["r0"] - 200) <= 1
    assert asked.lacks
    uneven = Counter(asked.pick(replicas, ANY, 11.0).id for _ in range(400))
    assert abs(uneven["r0"] - 300) <= 2
    assert not asked.lacks
    expired = Counter(asked.pick(replicas, ANY, 200.0).id for _ in range(400))
    assert abs(expired["r0"] - 200) <= 2


def test_weighted_counts_errors_against_a_replica() -> None:
    asked, replicas = strategy("weighted"), offered(2)
    for at_s in (0.0, 5.0):
        for replica in replicas:
            told(asked, replica, LoadReport(rps=100, cpu_utilization=0.5), at_s)
    asked.ended(replicas[0], Outcome(OutcomeKind.ERROR, 0.01), 6.0)
    told(asked, replicas[0], LoadReport(rps=100, cpu_utilization=0.5), 11.0)
    asked.pick(replicas, ANY, 11.0)
    assert asked.explain(replicas[0], 11.0)["weight_rps"] < asked.explain(replicas[1], 11.0)["weight_rps"]


def test_resource_usage_takes_the_least_used_and_mistrusts_old_reports() -> None:
    asked, (one, two) = strategy("resource_usage"), offered(2)
    told(asked, one, LoadReport(cpu_utilization=0.2, mem_utilization=0.9), 0.0)
    told(asked, two, LoadReport(cpu_utilization=0.6), 0.0)
    assert asked.pick([one, two], ANY, 1.0) is two
    two.in_flight = 9
    assert asked.pick([one, two], ANY, 30.0) is one
    assert asked.lacks == "load reports"


def test_a_key_stays_with_its_replica_and_moves_only_when_that_one_goes() -> None:
    asked, replicas = strategy("consistent_hash"), offered(5)
    keys = [PickRequest(key=f"text {n}") for n in range(200)]
    before = [asked.pick(replicas, key, 0.0).id for key in keys]
    assert before == [strategy("consistent_hash").pick(replicas, key, 9.0).id for key in keys]
    after = [asked.pick(replicas[1:], key, 0.0).id for key in keys]
    assert all(old == new or old == "r0" for old, new in zip(before, after, strict=True))
    assert min(Counter(before).values()) > 20


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(1, 8))
def test_no_replica_is_given_more_than_its_bounded_share(keys: list[int], count: int) -> None:
    asked, replicas = strategy("consistent_hash"), offered(count)
    for number, key in enumerate(keys, 1):
        asked.pick(replicas, PickRequest(key=str(key)), 0.0).in_flight += 1
        assert max(c.in_flight for c in replicas) < (1 + EPSILON) * number / count + 1


def prequal_with(*probes: tuple[float, float]) -> tuple[Strategy, list[Candidate]]:
    asked, replicas = strategy("prequal"), offered(len(probes))
    for replica, (rif, latency_ms) in zip(replicas, probes, strict=True):
        replica.report = LoadReport(rif=rif, latency_ms=latency_ms)
        asked.probed(replica, 0.0)
    return asked, replicas


def test_prequal_takes_the_fastest_of_the_cold() -> None:
    asked, replicas = prequal_with((1, 30), (2, 10), (90, 1), (1, 20), (1, 40), (1, 50), (90, 2), (1, 60))
    assert asked.pick(replicas, ANY, 0.1).id in ("r1", "r2", "r6")
    asked, replicas = prequal_with(*[(1, 30), (2, 10), (1, 20), (1, 40), (1, 50), (1, 60), (2, 11), (90, 1)])
    assert asked.pick(replicas, ANY, 0.1).id == "r1"


def test_prequal_without_fresh_probes_says_so() -> None:
    asked, replicas = prequal_with((1, 30), (2, 10))
    found = []
    for now_s in (0.5, 1.5):
        asked.pick(replicas, ANY, now_s)
        found.append(asked.lacks)
    assert found == ["", "probes"]
    assert len(asked.wanted_probes(replicas, 1.5)) == 2


def test_two_choices_never_take_the_busiest() -> None:
    asked, replicas = strategy("power_of_two"), offered(3)
    for replica, busy in zip(replicas, (0, 1, 2), strict=True):
        replica.in_flight = busy
    assert {asked.pick(replicas, ANY, 0.0).id for _ in range(200)} == {"r0", "r1"}


@pytest.mark.parametrize("name", ["adaptive", "peak_ewma", "response_time", "resource_usage"])
def test_up_to_64_replicas_each_is_looked_at(name: str) -> None:
    asked, replicas = strategy(name), offered(FULL_SCAN_MOST)
    report = LoadReport(cpu_utilization=0.9)
    for replica in replicas:
        replica.in_flight = 9
        told(asked, replica, report, 0.0)
    replicas[17].in_flight, replicas[17].report = 0, LoadReport(cpu_utilization=0.1)
    assert {asked.pick(replicas, ANY, 0.0).id for _ in range(20)} == {"r17"}
