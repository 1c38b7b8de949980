"""`argosy status` and `argosy doctor` for a healthy fleet, a sick one, one without its controller, and none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from argosy.contracts.errors import Unauthorized
from argosy.contracts.fleet import ControllerView, FleetView, Health, ReplicaView, ServiceView
from argosy.serving.runfile import ReplicaLock
from tests.integration.cli.conftest import FakeFleet, Invoke

pytestmark = pytest.mark.integration


def view(status: Health, reason: str = "") -> dict[str, object]:
    replica = ReplicaView("store-1", 42, "http://127.0.0.1:9", "r1", status, reason, 1.5, 0, 1.0, {}, 1.0, 2)
    service = ServiceView("store", status, reason, 1, 1.5, 0, 1.0, {}, [replica])
    fleet: dict[str, object] = msgspec.to_builtins(FleetView(ControllerView(7, 1.0, "0.1.0"), status, [service]))
    return fleet


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Return a function that makes a lock in data_dir look like that of a living process."""
    held: list[ReplicaLock] = []

    def take(name: str) -> None:
        run = tmp_path / "data" / "run"
        run.mkdir(parents=True, exist_ok=True)
        held.append(ReplicaLock(run / name))
        held[-1].acquire()

    yield take
    for lock in held:
        lock.release()


@pytest.fixture
def absent(tmp_path: Path, nobody: str) -> dict[str, str]:
    return {"ARGOSY_ADMIN_URL": nobody, "ARGOSY_DATA_DIR": str(tmp_path / "data")}


def test_a_healthy_fleet_ends_with_0(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("GET", "/v1/fleet", view(Health.HEALTHY))

    result = argosy("status")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("HEALTHY  controller 0.1.0, pid 7, up ")
    assert any(
        line.split()[:4] == ["store-1", "HEALTHY", "42", "http://127.0.0.1:9"] for line in result.stdout.splitlines()
    )


def test_a_degraded_fleet_ends_with_1_and_says_why(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("GET", "/v1/fleet", view(Health.DEGRADED, "the disk is slow"))

    result = argosy("status")

    assert result.exit_code == 1
    assert "the disk is slow" in result.stdout


def test_as_json_the_controllers_answer_is_shown(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("GET", "/v1/fleet", view(Health.HEALTHY))

    assert json.loads(argosy("status", "--json").stdout) == view(Health.HEALTHY)


def test_the_fleets_token_is_sent(fleet: FakeFleet, argosy: Invoke, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").touch(mode=0o600)
    (tmp_path / "data" / "token").write_text(fleet.token)
    fleet.answer("GET", "/v1/fleet", view(Health.HEALTHY))

    argosy("status", "--data-dir", str(tmp_path / "data"))

    assert fleet.seen[0][2]["Authorization"] == f"Bearer {fleet.token}"


def test_a_fleet_that_refuses_the_token_is_told(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("GET", "/v1/fleet", Unauthorized("This route is for the fleet only."))

    result = argosy("status")

    assert (result.exit_code, result.stderr) == (1, "error: This route is for the fleet only.\n")


def test_without_its_controller_a_serving_fleet_ends_with_3(
    argosy: Invoke, absent: dict[str, str], hold: Callable[[str], None]
) -> None:
    hold("gateway-1.lock")

    result = argosy("status", env=absent)

    assert result.exit_code == 3
    assert result.stdout == (
        "controller not running, data plane serving; start the controller with: argosy up --data-dir "
        f"{absent['ARGOSY_DATA_DIR']}\n"
        "Running replicas: gateway-1.\n"
    )
    assert json.loads(argosy("status", "--json", env=absent).stdout)["live_replicas"] == ["gateway-1"]


def test_a_controller_that_does_not_answer_yet_is_not_taken_for_gone(
    argosy: Invoke, absent: dict[str, str], hold: Callable[[str], None]
) -> None:
    hold("controller.lock")
    hold("gateway-1.lock")

    result = argosy("status", env=absent)

    assert result.exit_code == 1
    assert "The controller runs but does not answer" in result.stderr


def test_with_nothing_running_the_sentence_says_how_to_start(argosy: Invoke, absent: dict[str, str]) -> None:
    result = argosy("status", env=absent)

    assert result.exit_code == 1
    assert result.stderr.startswith("error: No fleet is running on ")
    assert " Start one with: argosy up --data-dir /" in result.stderr


def test_doctor_takes_ports_used_by_another_program_for_a_failure(
    fleet: FakeFleet, argosy: Invoke, tmp_path: Path
) -> None:
    fleet.answer("GET", "/v1/fleet", view(Health.HEALTHY))

    result = argosy("doctor", "--json", "--data-dir", str(tmp_path / "data"))
    found = {check["name"]: check for check in json.loads(result.stdout)["checks"]}

    assert result.exit_code == 1
    assert found["gateway port"]["outcome"] == "fail"
    assert found["fleet"]["outcome"] == "ok"
    assert all(check["remedy"] for check in found.values() if check["outcome"] != "ok")


def test_doctor_knows_its_own_fleets_ports(
    fleet: FakeFleet, argosy: Invoke, tmp_path: Path, hold: Callable[[str], None]
) -> None:
    hold("controller.lock")
    fleet.answer("GET", "/v1/fleet", view(Health.HEALTHY))

    result = argosy("doctor", "--json", "--data-dir", str(tmp_path / "data"))
    found = {check["name"]: check["outcome"] for check in json.loads(result.stdout)["checks"]}

    assert (found["gateway port"], found["admin port"]) == ("ok", "ok")


def test_doctor_reports_a_wrong_fleet_file_beside_the_rest(argosy: Invoke, absent: dict[str, str]) -> None:
    Path("argosy.toml").write_text("[fleet]\nnmae = 'x'\n")

    result = argosy("doctor", "--json", env=absent)
    found = {check["name"]: check for check in json.loads(result.stdout)["checks"]}

    assert result.exit_code == 1
    assert "unknown key fleet.nmae" in found["fleet file"]["found"]
    assert found["python"]["outcome"] == "ok"


def test_a_controller_with_a_failing_loop_is_said_with_its_reason(fleet: FakeFleet, argosy: Invoke) -> None:
    seen = view(Health.DEGRADED)
    seen["controller"] = {
        "pid": 7,
        "started_at": 1.0,
        "version": "0.1.0",
        "status": "DEGRADED",
        "reason": "scaling failed (KeyError)",
    }
    fleet.answer("GET", "/v1/fleet", seen)

    result = argosy("status")

    assert result.exit_code == 1
    assert "Controller DEGRADED: scaling failed (KeyError)" in result.stdout
