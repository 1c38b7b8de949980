"""Health: one missed probe does not make a replica UNHEALTHY, three do; dependencies affect their dependants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.fleet import Health, Load, ReplicaStatus
from argosy.control.health.fleet import Verdict, fleet_health, service_alone, with_dependencies
from argosy.control.health.replica import HealthRule, Probe, ReplicaHealth, next_health

pytestmark = pytest.mark.unit

RULE = HealthRule(failures=3, successes=1)


def answer(health: Health = Health.HEALTHY, *, ready: bool = True, reason: str = "") -> ReplicaStatus:
    return ReplicaStatus("store", "store-1", "r1", 1, ready, False, health, reason, 1.0, "1.1", Load())


def good(at: float = 1.0) -> Probe:
    return Probe(at, 2.0, answer())


def bad(at: float = 1.0) -> Probe:
    return Probe(at, error="no answer within 1 s")


def test_a_replica_that_says_it_is_ready_is_healthy_at_once() -> None:
    seen = next_health(ReplicaHealth(), good(), RULE)
    assert (seen.status, seen.response_time_ms, seen.last_check) == (Health.HEALTHY, 2.0, 1.0)


def test_one_missed_probe_degrades_and_the_third_makes_unhealthy() -> None:
    seen = next_health(ReplicaHealth(), good(), RULE)
    statuses = []
    for _ in range(3):
        seen = next_health(seen, bad(), RULE)
        statuses.append(seen.status)
    assert statuses == [Health.DEGRADED, Health.DEGRADED, Health.UNHEALTHY]
    assert seen.error_count == 3
    assert "3 probes" in seen.reason
    assert next_health(seen, good(), RULE).status is Health.HEALTHY


def test_a_replica_whose_cpu_is_at_work_stays_degraded() -> None:
    seen = next_health(ReplicaHealth(), good(), RULE)
    for _ in range(5):
        seen = next_health(seen, Probe(1.0, error="no answer within 1 s", busy=True), RULE)
    assert seen.status is Health.DEGRADED
    assert seen.reason == "no answer within 1 s (5 probes, its CPU is at work)"


def test_too_few_replicas_say_why() -> None:
    assert service_alone([UP], 2, "killed by signal 9").reason == "1 of 2 replicas serve (killed by signal 9)"
    assert service_alone([UP, DOWN], 2).reason == "1 of 2 replicas serve (killed)"


def test_what_a_replica_says_of_itself_holds() -> None:
    seen = next_health(ReplicaHealth(), Probe(1.0, 1.0, answer(Health.DEGRADED, reason="one shard broken")), RULE)
    assert (seen.status, seen.reason) == (Health.DEGRADED, "one shard broken")


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 5))
def test_a_healthy_replica_falls_only_after_that_many_misses_in_a_row(answers: list[bool], failures: int) -> None:
    rule = HealthRule(failures=failures, successes=1)
    seen = next_health(ReplicaHealth(), good(), rule)
    in_a_row = 0
    for answered in answers:
        in_a_row = 0 if answered else in_a_row + 1
        seen = next_health(seen, good() if answered else bad(), rule)
        assert (seen.status is Health.UNHEALTHY) == (in_a_row >= failures)
        assert (seen.status is Health.HEALTHY) == (in_a_row == 0)


UP, DOWN, LIMPING = Verdict(Health.HEALTHY), Verdict(Health.UNHEALTHY, "killed"), Verdict(Health.DEGRADED, "slow")


@pytest.mark.parametrize(
    ("replicas", "desired", "expected"),
    [
        ([UP, UP], 2, Health.HEALTHY),
        ([UP, DOWN], 2, Health.DEGRADED),
        ([UP], 2, Health.DEGRADED),
        ([UP, LIMPING], 2, Health.DEGRADED),
        ([DOWN], 1, Health.UNHEALTHY),
        ([], 1, Health.UNHEALTHY),
    ],
)
def test_a_service_is_what_its_replicas_are(replicas: list[Verdict], desired: int, expected: Health) -> None:
    assert service_alone(replicas, desired).status is expected


def test_a_required_service_takes_its_dependants_down_and_a_wanted_one_degrades_them() -> None:
    found = with_dependencies(
        {"store": DOWN, "retrieval": UP, "gateway": UP, "other": UP},
        ["store", "retrieval", "gateway", "other"],
        {"store": (), "retrieval": ("store",), "gateway": (), "other": ()},
        {"store": (), "retrieval": (), "gateway": ("retrieval",), "other": ()},
    )
    retrieval_waits = "store UNHEALTHY, search waits for the store within its deadline, then answers 503 (killed)"
    assert found["retrieval"] == Verdict(Health.UNHEALTHY, retrieval_waits)
    assert found["gateway"].status is Health.DEGRADED
    assert "retrieval UNHEALTHY, search and chat answer 503" in found["gateway"].reason
    assert found["other"] == UP


def test_every_cause_is_named() -> None:
    found = with_dependencies(
        {"embedding": DOWN, "generation": DOWN, "gateway": LIMPING},
        ["embedding", "generation", "gateway"],
        {"embedding": (), "generation": (), "gateway": ()},
        {"embedding": (), "generation": ("embedding",), "gateway": ("embedding", "generation")},
    )
    own, embedding, generation = found["gateway"].reason.split("; ")
    assert own == "slow"
    assert embedding.startswith("embedding UNHEALTHY, search is lexical only")
    assert generation.startswith("generation UNHEALTHY, answers are extractive")


@pytest.mark.parametrize(
    ("gateway", "store", "expected"),
    [
        (UP, UP, Health.HEALTHY),
        (UP, DOWN, Health.DEGRADED),
        (LIMPING, UP, Health.DEGRADED),
        (DOWN, UP, Health.UNHEALTHY),
    ],
)
def test_the_fleet_is_down_when_nobody_can_enter(gateway: Verdict, store: Verdict, expected: Health) -> None:
    assert fleet_health({"gateway": gateway, "store": store}) is expected
