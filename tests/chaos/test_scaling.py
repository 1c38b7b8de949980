"""Scaling under failure: the controller dies during a step, and replicas started by a step die at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chaos.fleet import ChaosFleet
from tests.e2e.fleet import until
from tests.e2e.wire import send

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SCALED = """
[fleet]
probe_interval_s = 1.0
monitoring_interval_s = 1.0
[services.echo]
module = "echo:create_app"
replicas = { min = 1, max = 4 }
"""


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosFleet]:
    home = tmp_path_factory.mktemp("scaling")
    fleet = ChaosFleet(home / "data", home, settings=SCALED)
    fleet.write()
    try:
        fleet.start().ok()
        yield fleet
        fleet.down()
    finally:
        fleet.end()


@pytest.fixture
def fleet(scaled: ChaosFleet) -> Iterator[ChaosFleet]:
    """Provide the fleet with one replica of echo before and after the test."""
    scaled.recovered()
    yield scaled
    scaled.cli("scale", "echo=1").ok()
    scaled.recovered()
    scaled.cli("scale", "echo=auto").ok()


def scaling(fleet: ChaosFleet) -> dict[str, Any]:
    return dict(fleet.admin("/v1/services/echo/scaling"))


def order(fleet: ChaosFleet, replicas: int) -> dict[str, Any]:
    """Order a number of replicas. Returns: the controller's decision."""
    headers = {"authorization": f"Bearer {fleet.token}"}
    message = {"replicas": replicas, "expires_s": 600}
    answer = send(fleet.admin_url, "POST", "/v1/services/echo/scale", message, headers=headers)
    assert answer.status == 200, answer.body
    return dict(answer.json())


def echoes(fleet: ChaosFleet) -> list[str]:
    prefix = str(fleet.data_dir / "run" / "echo-")
    found = (process.environ()["ARGOSY_RUN_FILE"] for process in fleet.processes())
    return sorted(path for path in found if path.startswith(prefix))


def sees(fleet: ChaosFleet, replica: str) -> bool:
    try:
        return replica in fleet.replicas("echo")
    except OSError:
        return False


def test_a_controller_killed_in_the_middle_of_a_step_up_finishes_it_and_keeps_the_override(fleet: ChaosFleet) -> None:
    with ThreadPoolExecutor(1) as helper:
        with fleet.behaving("echo-2", "start slowly"):
            assert order(fleet, 2)["current_instances"] == 2
            starting = until(lambda: fleet.pids().get("echo-2"), "echo-2 to start")
            fleet.kill_controller()
            again = helper.submit(fleet.start)
            until(lambda: sees(fleet, "echo-2"), "the next controller to see it")
        again.result().ok()
    fleet.recovered()
    assert fleet.pids()["echo-2"] == starting
    assert len(echoes(fleet)) == 2
    view = scaling(fleet)
    assert view["current_instances"] == 2
    assert 0 < view["override"]["expires_s"] <= 600


def test_what_dies_at_once_is_not_asked_for_again_and_again(fleet: ChaosFleet) -> None:
    before = fleet.pids()
    with fleet.behaving("echo-2", "crash"):
        order(fleet, 2)
        until(lambda: scaling(fleet)["ready_instances"] == 1 and fleet.service("echo")["reason"], "the failure to show")
        told = until(
            lambda: [e for e in fleet.events("echo-2") if "echo is lost" in e["why"]], "the reason in the feed"
        )
        view = order(fleet, 4)
        assert view["decisions"][0]["decision"]["reason"] == "start_failing"
        assert "echo is lost" in view["recommendation"]
        assert view["current_instances"] == 2
        assert len(echoes(fleet)) <= 2
        assert fleet.call("GET", "/services/echo/say/ahoy").status == 200
        order(fleet, 2)
    assert told
    fleet.recovered()
    after = fleet.pids()
    assert {name for name in before if after[name] != before[name]} == set()
    assert len(echoes(fleet)) == 2
