"""Replicas that are alive but do not serve: stopped, blocked, busy for ever, failing, slow, too large."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chaos.fleet import ChaosFleet
from tests.chaos.load import QUERIES, Load, echo
from tests.e2e.fleet import until
from tests.e2e.wire import Answer, send

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

ECHO = "echo-1"
HANGING = ("embedding-1", "retrieval-1", "generation-1", "gateway-1", "documents-1")
BRIEF = {"x-argosy-deadline-ms": "3000"}
LONG = {"x-argosy-deadline-ms": "60000"}


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as callers:
        yield callers


def say(fleet: ChaosFleet, headers: dict[str, str] = LONG) -> Answer:
    return fleet.call("GET", "/services/echo/say/ahoy", headers=headers)


def poke(fleet: ChaosFleet, callers: ThreadPoolExecutor) -> None:
    """Send a request directly to the misbehaving replica without waiting for the answer."""
    url = fleet.replicas("echo")[ECHO]["endpoint"]
    callers.submit(send, url, "GET", "/say/ahoy")


def stopping(fleet: ChaosFleet, replica: str, since: int) -> str:
    """Return why the controller ended the replica."""
    return str(next(event["why"] for event in fleet.events(replica, since) if event["after"] == "stopping"))


def test_no_query_fails_when_one_replica_of_each_service_hangs(fleet: ChaosFleet) -> None:
    """Hang all at once except the store: every other service has a second replica or is not needed by queries."""
    since, before = fleet.now(), fleet.pids()
    with Load(fleet.url) as load:
        fleet.hang(*HANGING)
        until(lambda: fleet.replicas("retrieval")["retrieval-1"]["status"] == "DEGRADED", "a missed probe")
        for replica in HANGING:
            fleet.replaced(replica, before[replica])
        load.more(20)
    load.assert_none_failed()
    for replica in HANGING:
        assert stopping(fleet, replica, since) == "hung: no answer within 1 s, 3 probes in a row"
        assert fleet.replicas(replica.rpartition("-")[0])[replica]["restarts"] == 1
    now = fleet.pids()
    assert {replica for replica in before if now[replica] != before[replica]} == set(HANGING)


def test_a_store_that_hangs_is_replaced_and_named_meanwhile(fleet: ChaosFleet) -> None:
    since, pid = fleet.now(), fleet.pids()["store-1"]
    with Load(fleet.url, rate_per_s=4) as load:
        fleet.hang("store-1")
        fleet.replaced("store-1", pid)
        load.more(10)
    failed = [outcome for outcome in load.outcomes if outcome.wrong]
    assert [o for o in failed if o.status != 503 or "store service" not in o.wrong] == []
    assert stopping(fleet, "store-1", since).startswith("hung")


def test_a_replica_whose_loop_is_blocked_is_replaced(fleet: ChaosFleet, callers: ThreadPoolExecutor) -> None:
    since, pid = fleet.now(), fleet.pids()[ECHO]
    with Load(fleet.url, (echo,), rate_per_s=4) as load:
        with fleet.behaving(ECHO, "block"):
            poke(fleet, callers)
            until(lambda: stopping_told(fleet, since), "the blocked replica to be ended")
        fleet.replaced(ECHO, pid)
        load.more(5)
    load.assert_none_failed()
    assert stopping(fleet, ECHO, since).startswith("hung: no answer within 1 s")


def stopping_told(fleet: ChaosFleet, since: int) -> bool:
    return any(event["after"] == "stopping" for event in fleet.events(ECHO, since))


def test_a_busy_replica_is_degraded_and_not_killed(fleet: ChaosFleet, callers: ThreadPoolExecutor) -> None:
    pid = fleet.pids()[ECHO]
    with Load(fleet.url, (echo,), rate_per_s=4) as load:
        with fleet.behaving(ECHO, "compute"):
            poke(fleet, callers)
            until(lambda: "its CPU is at work" in fleet.replicas("echo")[ECHO]["reason"], "three missed probes")
            seen = fleet.replicas("echo")[ECHO]
        fleet.recovered()
    load.assert_none_failed()
    assert seen["status"] == "DEGRADED"
    assert seen["error_count"] >= 3
    assert fleet.pids()[ECHO] == pid


def test_a_replica_that_is_busy_beyond_its_limit_is_replaced(fleet: ChaosFleet, callers: ThreadPoolExecutor) -> None:
    since, pid = fleet.now(), fleet.pids()[ECHO]
    with fleet.behaving(ECHO, "compute"):
        poke(fleet, callers)
        until(lambda: stopping_told(fleet, since), "hang_limit_s to pass")
    fleet.replaced(ECHO, pid)
    assert say(fleet).status == 200


def test_a_replica_that_answers_500_is_degraded_with_the_count(fleet: ChaosFleet) -> None:
    with fleet.behaving(ECHO, "fail"), Load(fleet.url, (*QUERIES, echo)) as load:
        seen = until(lambda: (s := fleet.service("echo"))["status"] == "DEGRADED" and s, "echo to be degraded")
        code, services = fleet.status()
        load.more(40)
    assert re.fullmatch(r"it answers: \d+ of \d+ requests fail", seen["reason"])
    assert {replica["status"] for replica in seen["replicas"]} == {"HEALTHY", "DEGRADED"}
    assert (code, services["echo"]["status"]) == (1, "DEGRADED")
    assert services["gateway"]["status"] == "HEALTHY"
    assert {outcome.kind for outcome in load.outcomes if outcome.wrong} == {"echo"}
    assert {outcome.status for outcome in load.of("echo")} == {200, 500}
    fleet.recovered()


def test_a_replica_that_answers_slowly_fails_nobody_and_stays(fleet: ChaosFleet) -> None:
    pid = fleet.pids()[ECHO]
    with fleet.behaving(ECHO, "dawdle"), Load(fleet.url, (echo,)) as load:
        load.more(30)
        assert fleet.service("echo")["status"] == "HEALTHY"
    load.assert_none_failed()
    assert fleet.pids()[ECHO] == pid


def test_requests_to_a_replica_that_never_answers_go_elsewhere(fleet: ChaosFleet, callers: ThreadPoolExecutor) -> None:
    answers: list[Answer] = []

    def asked_until_seen() -> dict[str, Any] | None:
        answers.extend(callers.map(lambda _: say(fleet, BRIEF), range(16)))
        service = fleet.service("echo")
        return service if service["status"] == "DEGRADED" else None

    with fleet.behaving(ECHO, "never answer"):
        seen = until(asked_until_seen, "echo to be degraded")
    assert {answer.status for answer in answers} == {200}
    assert {answer.body for answer in answers} == {b"echo-2 says ahoy"}
    assert re.fullmatch(
        r"callers see \d+ of \d+ requests fail|a caller sends it nothing: it .*timeout.*", seen["reason"]
    )


def test_a_replica_over_its_memory_limit_is_replaced(fleet: ChaosFleet, callers: ThreadPoolExecutor) -> None:
    since, pid = fleet.now(), fleet.pids()[ECHO]
    with fleet.behaving(ECHO, "grow"):
        poke(fleet, callers)
        until(lambda: stopping_told(fleet, since), "the replica to be ended")
    fleet.replaced(ECHO, pid)
    assert re.fullmatch(r"used \d+ MiB, its limit is 381 MiB", stopping(fleet, ECHO, since))
