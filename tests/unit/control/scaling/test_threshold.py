"""The policy `threshold` against the table in its docstring, and its two timers."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from argosy.config.scaling import ScalingSettings, ThresholdSettings
from argosy.contracts.scaling import Action, Decision, Reason
from argosy.control.observation import Observation
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.policies import threshold
from argosy.control.scaling.policies.threshold import NEEDED, THRESHOLD, ThresholdState

pytestmark = pytest.mark.unit

decide = THRESHOLD.decide

RULE = Rule()
BETWEEN = Observation(
    replicas=3, ready=3, cpu=0.5, memory=0.5, response_time_s=1.0, queued=50, errors=0.0, in_flight=60
)
CALM = replace(BETWEEN, cpu=0.1, memory=0.1, response_time_s=0.1, queued=1)
HIGH = replace(BETWEEN, cpu=0.9)
ROWS = re.findall(r"\| (\w+) +\| > ([\d.]+) +\| (?:< ([\d.]+))? +\|", threshold.__doc__ or "")


def having(seen: Observation, metric: str, value: float | None) -> Observation:
    change: dict[str, Any] = {metric: value}
    return replace(seen, **change)


def run(seen: Observation, times_s: range | list[float], state: ThresholdState | None = None) -> list[Decision]:
    state, decisions = state or ThresholdState(), []
    for now_s in times_s:
        decision, state = decide(seen, state, RULE, now_s)
        decisions.append(decision)
    return decisions


def test_calm_is_calm_also_where_the_fleet_looks_seldom() -> None:
    rule, state = replace(RULE, look_s=300.0), ThresholdState()
    for now_s in (0, 300):
        decision, state = decide(CALM, state, rule, now_s)
    assert decision.action is Action.SCALE_DOWN


def test_the_table_has_every_metric() -> None:
    assert [row[0] for row in ROWS] == list(NEEDED)


@pytest.mark.parametrize(("metric", "up", "down"), ROWS)
def test_any_metric_above_its_row_asks_for_one_more(metric: str, up: str, down: str) -> None:
    decision, _ = decide(having(BETWEEN, metric, float(up) * 1.001), ThresholdState(), RULE, 0)
    assert (decision.action, decision.target_instances) == (Action.SCALE_UP, 4)
    assert (decision.reason, decision.binding.split()[0]) == (Reason.HIGH_LOAD_DETECTED, metric)
    at_the_limit, _ = decide(having(BETWEEN, metric, float(up)), ThresholdState(), RULE, 0)
    assert (at_the_limit.action, at_the_limit.reason) == (Action.NONE, Reason.NO_SCALING_NEEDED)


@pytest.mark.parametrize(("metric", "up", "down"), [row for row in ROWS if row[2]])
def test_every_metric_has_to_be_below_its_row_to_go_down(metric: str, up: str, down: str) -> None:
    assert run(CALM, range(0, 301, 30))[-1].action is Action.SCALE_DOWN
    one_not_low = run(having(CALM, metric, float(down)), range(0, 1000, 30))
    assert {decision.action for decision in one_not_low} == {Action.NONE}


def test_three_hundred_seconds_of_calm_do_trigger_and_less_do_not() -> None:
    decisions = run(CALM, range(0, 301, 30))
    assert [d.action for d in decisions] == [Action.NONE] * 10 + [Action.SCALE_DOWN]
    assert (decisions[-1].target_instances, decisions[-1].reason) == (2, Reason.SUSTAINED_LOW_USAGE)
    assert decisions[-1].stability_duration_s == 300
    assert decisions[5].reason is Reason.STABILISING


def test_calm_that_was_interrupted_begins_anew() -> None:
    _, state = decide(CALM, ThresholdState(), RULE, 0)
    for now_s in range(30, 300, 30):
        _, state = decide(CALM, state, RULE, now_s)
    _, state = decide(BETWEEN, state, RULE, 300)
    assert run(CALM, range(330, 630, 30), state)[-1].action is Action.NONE


def test_a_stretch_without_observations_is_no_calm() -> None:
    _, state = decide(CALM, ThresholdState(), RULE, 0)
    decision, _ = decide(CALM, state, RULE, 1000)
    assert (decision.action, decision.stability_duration_s) == (Action.NONE, 90)


def test_nothing_happens_inside_the_cooldown() -> None:
    _, state = decide(HIGH, ThresholdState(), RULE, 0)
    inside = run(replace(HIGH, replicas=4, ready=4), range(30, 300, 30), state)
    assert {d.reason for d in inside} == {Reason.COOLDOWN_ACTIVE}
    assert run(HIGH, [300], state)[0].action is Action.SCALE_UP


def test_it_stays_between_one_and_ten() -> None:
    top = replace(HIGH, replicas=10, ready=10)
    assert (run(top, [0])[0].action, run(top, [0])[0].reason) == (Action.NONE, Reason.AT_MAXIMUM)
    bottom = run(replace(CALM, replicas=1, ready=1), range(0, 601, 30))
    assert {d.action for d in bottom} == {Action.NONE}
    assert bottom[-1].binding == "min_instances = 1"


@pytest.mark.parametrize("metric", NEEDED)
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -1.0])
def test_a_metric_that_is_missing_or_cannot_be_means_hold(metric: str, value: float | None) -> None:
    for seen in (HIGH, CALM):
        decisions = run(having(seen, metric, value), range(0, 601, 30))
        assert {(d.action, d.reason) for d in decisions} == {(Action.NONE, Reason.METRICS_MISSING)}


def test_stale_metrics_mean_hold() -> None:
    assert run(replace(HIGH, age_s=16), [0])[0].reason is Reason.METRICS_MISSING


def test_a_silent_replica_forbids_going_down_and_not_up() -> None:
    assert {d.action for d in run(replace(CALM, reporting=2), range(0, 601, 30))} == {Action.NONE}
    assert run(replace(HIGH, reporting=2), [0])[0].action is Action.SCALE_UP


def test_every_number_is_a_setting() -> None:
    settings = ThresholdSettings.model_validate(
        {"up": {"cpu": 0.4}, "down": {"cpu": 0.2}, "stability_s": 60, "cooldown_s": 10, "interval_s": 5}
    )
    rule = Rule(2, 3, ScalingSettings(threshold=settings))
    seen = replace(BETWEEN, replicas=2, ready=2)
    assert decide(seen, ThresholdState(), rule, 0)[0].target_instances == 3
    assert threshold.THRESHOLD.interval_s(rule) == 5
    decision, _ = decide(replace(seen, replicas=7, ready=7), ThresholdState(), rule, 0)
    assert (decision.target_instances, decision.reason) == (3, Reason.OUT_OF_BOUNDS)
