"""`argosy scale` against an admin API that answers what the test says."""

from __future__ import annotations

import msgspec
import pytest

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


@pytest.mark.parametrize(
    "words",
    [["embedding=x"], ["embedding=-1"], ["embedding="], ["embedding=2", "--for", "soon"], ["embedding", "--for", "3s"]],
)
def test_wrong_usage_is_status_2_and_sends_nothing(fleet: FakeFleet, argosy: Invoke, words: list[str]) -> None:
    assert argosy("scale", *words).exit_code == 2
    assert fleet.seen == []
