"""Target tracking follows the documented algorithm of HorizontalPodAutoscaler v2."""

from __future__ import annotations

import pytest

from argosy.config.scaling import ScalingSettings, TargetSettings
from argosy.contracts.scaling import Action, Decision, Reason
from argosy.control.observation import Observation
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.policies.target import TARGET, TargetState

pytestmark = pytest.mark.unit

decide = TARGET.decide


def rule_of(metrics: dict[str, float], most: int = 100) -> Rule:
    return Rule(1, most, ScalingSettings(target=TargetSettings(metrics=metrics)))


CPU = rule_of({"cpu": 0.5})
IN_FLIGHT = rule_of({"in_flight": 2.0})


def first(seen: Observation, rule: Rule) -> Decision:
    return decide(seen, TargetState(), rule, 0)[0]


@pytest.mark.parametrize(
    ("cpu", "target"), [(0.5, 4), (0.549, 4), (0.451, 4), (0.56, 5), (0.75, 6), (1.0, 8), (5.0, 8)]
)
def test_it_asks_for_the_metric_over_its_target_within_tolerance_and_growth(cpu: float, target: int) -> None:
    """Growth is at most max(+100 %, +4) in 15 s, so four replicas become eight."""
    assert first(Observation(4, 4, cpu=cpu), CPU).target_instances == target


def test_one_replica_may_become_five_at_once() -> None:
    assert first(Observation(1, 1, cpu=50), CPU).target_instances == 5


def test_growth_is_limited_per_period_whoever_asks_how_often() -> None:
    _, state = decide(Observation(4, 4, cpu=9.0), TargetState(), CPU, 0)
    again, state = decide(Observation(8, 8, cpu=9.0), state, CPU, 5)
    assert again.action is Action.NONE
    later, _ = decide(Observation(8, 8, cpu=9.0), state, CPU, 15)
    assert later.target_instances == 16


def test_the_most_demanding_metric_decides() -> None:
    rule = rule_of({"cpu": 0.5, "in_flight": 2.0, "gpu": 10.0})
    decision = first(Observation(4, 4, cpu=0.5, in_flight=12.0, named={"gpu": 5.0}), rule)
    assert (decision.target_instances, decision.binding) == (6, "in_flight = 2")


def test_going_down_waits_for_the_highest_wish_of_the_window() -> None:
    state, targets = TargetState(), []
    for now_s in range(0, 316, 15):
        decision, state = decide(Observation(4, 4, cpu=0.2), state, CPU, now_s)
        targets.append(decision.target_instances)
    assert targets[:20] == [4] * 20
    assert targets[20] == 2
    assert decide(Observation(4, 4, cpu=0.2), TargetState(), CPU, 0)[0].reason is Reason.STABILISING


def test_silent_replicas_count_as_idle_upwards_and_as_at_target_downwards() -> None:
    assert first(Observation(4, 4, reporting=2, cpu=1.5), CPU).target_instances == 6
    assert first(Observation(4, 4, reporting=2, cpu=0.8), CPU).action is Action.NONE
    state = TargetState()
    for now_s in range(0, 316, 15):
        decision, state = decide(Observation(4, 4, reporting=2, cpu=0.1), state, CPU, now_s)
        if decision.action is not Action.NONE:
            break
    assert decision.target_instances == 3


def test_starting_replicas_are_not_asked_for_twice() -> None:
    assert first(Observation(8, 4, in_flight=16.0), IN_FLIGHT).action is Action.NONE
    assert first(Observation(8, 4, in_flight=24.0), IN_FLIGHT).target_instances == 12


def test_a_metric_that_is_missing_lets_the_others_ask_for_more_never_for_less() -> None:
    rule = rule_of({"cpu": 0.5, "queue_time_s": 1.0})
    assert first(Observation(4, 4, cpu=0.75), rule).target_instances == 6
    state = TargetState()
    for now_s in range(0, 1000, 15):
        decision, state = decide(Observation(4, 4, cpu=0.1), state, rule, now_s)
        assert decision.reason is Reason.METRICS_MISSING


def test_at_the_maximum_it_says_what_it_would_ask_for() -> None:
    decision = first(Observation(4, 4, cpu=1.0), rule_of({"cpu": 0.5}, most=4))
    assert (decision.action, decision.reason) == (Action.NONE, Reason.AT_MAXIMUM)
    assert "max_instances = 4" in decision.binding
