"""Tests of kill -9 and drain of single replicas under load."""

from __future__ import annotations

import pytest

from tests.chaos.fleet import ChaosFleet
from tests.chaos.load import WITH_ECHO, Load
from tests.e2e.fleet import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


@pytest.mark.parametrize("service", ["embedding", "retrieval", "generation", "gateway", "echo"])
def test_no_request_fails_when_one_of_two_replicas_is_killed(service: str, fleet: ChaosFleet) -> None:
    victim = sorted(fleet.replicas(service))[0]
    since, restarts = fleet.now(), fleet.replicas(service)[victim]["restarts"]
    with Load(fleet.url, WITH_ECHO) as load:
        fleet.kill(victim)
        seen = until(lambda: (s := fleet.service(service))["status"] == "DEGRADED" and s, f"{service} to be degraded")
        fleet.recovered()
        load.more(20)
    load.assert_none_failed()
    assert load.degraded() == set()
    assert service == "gateway" or not any(outcome.resets for outcome in load.outcomes)
    assert seen["reason"] == "1 of 2 replicas serve (killed by signal 9)"
    assert fleet.replicas(service)[victim]["restarts"] == restarts + 1
    told = [(event["before"], event["after"], event["why"]) for event in fleet.events(victim, since)]
    assert [after for _, after, _ in told] == ["ended", "starting", "ready"]
    assert "killed by signal 9" in told[0][2]
    assert told[1][0] == "ended"
    assert "killed by signal 9" in told[1][2]


def test_searches_wait_for_the_store_that_was_killed(fleet: ChaosFleet) -> None:
    pid = fleet.pids()["store-1"]
    with Load(fleet.url) as load:
        fleet.kill("store-1")
        fleet.replaced("store-1", pid)
        load.more(20)
    failed = [outcome for outcome in load.outcomes if outcome.wrong]
    assert all(outcome.status == 503 and "store" in outcome.wrong for outcome in failed)
    assert any(outcome.status == 200 for outcome in load.outcomes[-20:])
    assert fleet.replicas("store")["store-1"]["restarts"] == 1


@pytest.mark.parametrize("service", ["embedding", "retrieval", "generation", "gateway", "echo"])
def test_no_request_fails_when_a_replica_is_drained(service: str, fleet: ChaosFleet) -> None:
    leaving = sorted(fleet.replicas(service))[-1]
    since = fleet.now()
    with Load(fleet.url, WITH_ECHO) as load:
        fleet.cli("drain", f"{service}/{leaving}").ok()
        load.more(20)
    load.assert_none_failed()
    assert load.degraded() == set()
    assert leaving not in fleet.replicas(service)
    told = [(event["subject"], event["after"]) for event in fleet.events(service, since) if event["kind"] == "replica"]
    substitute = next(subject for subject, after in told if after == "ready")
    assert told.index((substitute, "ready")) < told.index((leaving, "draining"))
    assert fleet.replicas(service)[substitute]["restarts"] == 0


def test_a_drained_store_is_back_under_its_own_name(fleet: ChaosFleet) -> None:
    before = fleet.pids()["store-1"]
    assert fleet.drain("store-1").status == 200
    fleet.recovered()
    assert list(fleet.replicas("store")) == ["store-1"]
    assert fleet.pids()["store-1"] != before


def test_a_replica_that_runs_elsewhere_is_not_drained_from_here(fleet: ChaosFleet) -> None:
    refused = fleet.drain("outside-1")
    assert refused.status == 409
    assert "elsewhere" in refused.json()["error"]["message"]
