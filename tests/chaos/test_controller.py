"""Tests of kill -9 of the controller: alone, with a replica, during a start, during a drain."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.fleet import ChaosFleet
from tests.chaos.load import WITH_ECHO, Load
from tests.e2e.fleet import until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


@pytest.fixture
def helper() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as helper:
        yield helper


def assert_no_duplicates(fleet: ChaosFleet) -> None:
    """Check that echo has as many processes as replicas and that the controller knows each."""
    prefix = str(fleet.data_dir / "run" / "echo-")
    running = {process.pid for process in fleet.processes() if process.environ()["ARGOSY_RUN_FILE"].startswith(prefix)}
    assert running == {replica["pid"] for replica in fleet.replicas("echo").values()}
    assert len(running) == 2


def test_killed_under_load_it_fails_nothing_and_restarts_nothing(fleet: ChaosFleet) -> None:
    pid = fleet.pids()["echo-1"]
    fleet.kill("echo-1")
    fleet.replaced("echo-1", pid)
    before, pids, since = fleet.record(), fleet.pids(), fleet.now()
    with Load(fleet.url, WITH_ECHO) as load:
        fleet.kill_controller()
        load.more(20)
        code, services = fleet.status()
        assert (code, services) == (3, {})
        assert fleet.start().exit_code == 0
        fleet.recovered()
        load.more(20)
    load.assert_none_failed()
    assert load.degraded() == set()
    assert not any(outcome.resets for outcome in load.outcomes)
    assert fleet.pids() == pids
    assert fleet.record()["pid"] != before["pid"]
    assert fleet.replicas("echo")["echo-1"]["restarts"] == 1
    assert fleet.replicas("echo")["echo-2"]["restarts"] == 0
    assert all(replica["details"]["adopted"] for replica in fleet.replicas("retrieval").values())
    told = fleet.events("echo-1")
    assert any("killed by signal 9" in event["why"] for event in told if event["seq"] <= since)
    assert [event["after"] for event in told if event["seq"] > since] == ["adopted"]


def test_killed_together_with_replicas_it_fails_nothing_and_only_they_start_again(fleet: ChaosFleet) -> None:
    pids, since = fleet.pids(), fleet.now()
    dead = ("embedding-1", "retrieval-2", "generation-1")
    restarts = {replica: fleet.replicas(replica.rpartition("-")[0])[replica]["restarts"] for replica in dead}
    with Load(fleet.url, WITH_ECHO) as load:
        fleet.kill_controller(*dead)
        load.more(20)
        fleet.start().ok()
        fleet.recovered()
        load.more(20)
    load.assert_none_failed()
    now = fleet.pids()
    assert {replica for replica in pids if now[replica] != pids[replica]} == set(dead)
    for replica in dead:
        assert fleet.replicas(replica.rpartition("-")[0])[replica]["restarts"] == restarts[replica] + 1
        told = [(event["after"], event["why"]) for event in fleet.events(replica, since)]
        assert [after for after, _ in told][:3] == ["ended", "starting", "ready"]
        assert "no controller ran" in told[0][1]


def test_killed_while_a_replica_starts_it_adopts_that_one(fleet: ChaosFleet, helper: ThreadPoolExecutor) -> None:
    pid = fleet.pids()["echo-2"]
    with fleet.behaving("echo-2", "start slowly"):
        fleet.kill("echo-2")
        starting = until(lambda: (p := fleet.pids().get("echo-2")) != pid and p, "the next echo-2 to start")
        fleet.kill_controller()
        again = helper.submit(fleet.start)
        until(lambda: _sees(fleet, "echo-2"), "the next controller to see it")
    assert again.result().exit_code == 0
    fleet.recovered()
    assert fleet.pids()["echo-2"] == starting
    assert_no_duplicates(fleet)


def test_killed_in_the_middle_of_a_drain_it_keeps_as_many_as_are_wanted(
    fleet: ChaosFleet, helper: ThreadPoolExecutor
) -> None:
    with Load(fleet.url, WITH_ECHO) as load:
        with fleet.behaving("echo-3", "start slowly"):
            drained = helper.submit(fleet.drain, "echo-2")
            until(lambda: "echo-3" in fleet.pids(), "the substitute to start")
            fleet.kill_controller()
            assert drained.exception() is not None
            again = helper.submit(fleet.start)
            until(lambda: _sees(fleet, "echo-3"), "the next controller to see it")
        again.result()
        fleet.recovered()
        load.more(20)
    load.assert_none_failed()
    assert_no_duplicates(fleet)


def _sees(fleet: ChaosFleet, replica: str) -> bool:
    """Return whether a controller answers and lists that replica."""
    try:
        return replica in fleet.replicas("echo")
    except OSError:
        return False
