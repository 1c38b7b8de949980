"""`argosy scale` against an admin API that answers what the test says."""

from __future__ import annotations

import msgspec
import pytest

from argosy.contracts.fleet import ControllerView, FleetView, Health, ServiceView
from argosy.contracts.scaling import Action, Decision, DecisionRecord, OverrideView, Reason, ScalingView
from tests.integration.cli.conftest import FakeFleet, Invoke

pytestmark = pytest.mark.integration

VIEW = ScalingView(
    service="embedding",
    policy="predictive",
    shadow=False,
    min_instances=1,
    max_instances=4,
    current_instances=3,
    ready_instances=2,
    cooldown=0.0,
    thresholds={},
    fixed="",
    override=None,
    recommendation="use a larger host",
    decisions=[DecisionRecord(0.0, Decision(Action.NONE, 3, Reason.HOST_FULL, binding="2 of 2 cores"), 4)],
)
BY_HAND = msgspec.structs.replace(VIEW, override=OverrideView(3, 1800.0))


def test_it_shows_bounds_policy_and_decisions(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("GET", "/v1/services/embedding/scaling", msgspec.to_builtins(VIEW))
    shown = argosy("scale", "embedding")
    assert shown.exit_code == 0
    assert "3 replicas wanted, 2 ready, bounds 1 to 4; policy predictive" in shown.stdout
    assert "host_full" in shown.stdout
    assert "(×5)" in shown.stdout
    assert "use a larger host" in shown.stdout


def test_it_sends_a_number_and_how_long_it_holds(fleet: FakeFleet, argosy: Invoke) -> None:
    fleet.answer("POST", "/v1/services/embedding/scale", msgspec.to_builtins(BY_HAND))
    shown = argosy("scale", "embedding=3", "--for", "30m")
    assert fleet.bodies == [{"replicas": 3, "expires_s": 1800.0}]
    assert "by hand for another 1800 s (then policy predictive)" in shown.stdout
    argosy("scale", "embedding=auto")
    assert fleet.bodies[-1]["replicas"] is None


def test_without_a_name_it_shows_all_services(fleet: FakeFleet, argosy: Invoke) -> None:
    fixed = msgspec.structs.replace(
        VIEW, service="store", fixed="store has one writer", decisions=[], recommendation=""
    )
    services = [ServiceView(name, Health.HEALTHY, "", 1, None, 0, None, {}, []) for name in ("embedding", "store")]
    whole = FleetView(ControllerView(7, 1.0, "0.1.0"), Health.HEALTHY, services)
    fleet.answer("GET", "/v1/fleet", msgspec.to_builtins(whole))
    fleet.answer("GET", "/v1/services/embedding/scaling", msgspec.to_builtins(BY_HAND))
    fleet.answer("GET", "/v1/services/store/scaling", msgspec.to_builtins(fixed))
    shown = argosy("scale")
    assert shown.exit_code == 0, shown.output
    lines = {line.split()[0]: line for line in shown.stdout.splitlines() if line.strip()}
    assert "1 to 4" in lines["embedding"]
    assert "by hand" in lines["embedding"]
    assert "store has one writer" in lines["store"]
    assert "embedding: use a larger host" in shown.stdout
    assert [view["service"] for view in msgspec.json.decode(argosy("scale", "--json").stdout)] == ["embedding", "store"]


@pytest.mark.parametrize(
    "words",
    [
        ["embedding=x"],
        ["embedding=-1"],
        ["embedding="],
        ["embedding=2", "--for", "soon"],
        ["embedding", "--for", "3s"],
        ["=2"],
        ["--for", "3s"],
        ["embedding=2", "--for", "0s"],
    ],
)
def test_wrong_usage_is_status_2_and_sends_nothing(fleet: FakeFleet, argosy: Invoke, words: list[str]) -> None:
    assert argosy("scale", *words).exit_code == 2
    assert fleet.seen == []
