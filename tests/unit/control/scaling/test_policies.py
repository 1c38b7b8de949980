"""Properties of every policy: bounds, cooldown, hold on missing data, never fewer replicas for more load."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.config.scaling import PredictiveSettings, ScalingSettings, TargetSettings, ThresholdSettings
from argosy.contracts.scaling import Action, Reason
from argosy.control.observation import Capacity, Forecast, Observation
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.policies.policy import Policy
from argosy.control.scaling.policies.table import POLICIES

pytestmark = pytest.mark.unit

EVERY = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
LEARNT = Capacity(0.2, slots=4)
NUMBERS = (0.0, 0.3, 1.0, 7.0, 40.0, 333.0, None, math.nan, math.inf, -math.inf, -1.0, 1e300)
SHARES = (0.0, 0.2, 0.5, 0.95, 1.4, None, math.nan)
CAPACITIES = (None, LEARNT, Capacity(0.2, samples=3), Capacity(math.nan), Capacity(1, 4, 9))


def any_observation(seed: int) -> Observation:
    pick = Random(seed)
    replicas = pick.randint(0, 40)
    ready = pick.randint(0, replicas)

    def number() -> float | None:
        return pick.choice(NUMBERS)

    def share() -> float | None:
        return pick.choice(SHARES)

    return Observation(
        replicas=replicas,
        ready=ready,
        reporting=pick.choice((None, None, pick.randint(0, ready))),
        age_s=pick.choice((0.0, 0.0, 0.0, 1.0, 100.0, math.nan)),
        in_flight=number(),
        queued=number(),
        queue_time_s=number(),
        arrivals=number(),
        window_s=pick.choice((2.0, 0.0, math.nan)),
        response_time_s=number(),
        cpu=share(),
        memory=share(),
        errors=share(),
        overload_errors=share(),
        capacity=pick.choice(CAPACITIES),
        forecast=pick.choice((None, Forecast(number(), 60.0, pick.random() < 0.5))),
    )


def observations() -> st.SearchStrategy[Observation]:
    """Return observations that are derived from one random number each, because drawing every field takes seconds."""
    return st.integers(0, 2**32).map(any_observation)


def rule_of(cooldown_s: float = 0.0, least: int = 2, most: int = 12) -> Rule:
    return Rule(
        least,
        most,
        ScalingSettings(
            threshold=ThresholdSettings(cooldown_s=cooldown_s, stability_s=60),
            target=TargetSettings(cooldown_s=cooldown_s, down_window_s=60),
            predictive=PredictiveSettings(cooldown_s=cooldown_s, hold_s=60),
        ),
    )


@EVERY
@given(st.lists(st.tuples(st.floats(0.01, 200), observations()), min_size=1, max_size=15))
def test_no_input_makes_it_raise_or_leave_its_bounds(
    policy: Policy[Any], steps: list[tuple[float, Observation]]
) -> None:
    state, now_s, rule = policy.first, 1000.0, rule_of()
    for elapsed_s, seen in steps:
        now_s += elapsed_s
        decision, state = policy.decide(seen, state, rule, now_s)
        if decision.action is Action.NONE:
            assert decision.target_instances == seen.replicas
        else:
            assert 2 <= decision.target_instances <= 12
            grows = decision.target_instances > seen.replicas
            assert decision.action is (Action.SCALE_UP if grows else Action.SCALE_DOWN)
        assert decision.stability_duration_s >= 0
        assert msgspec.json.decode(msgspec.json.encode(state), type=type(policy.first)) == state


@EVERY
@given(st.lists(st.tuples(st.floats(0.1, 60), observations()), min_size=2, max_size=15))
def test_nothing_goes_down_inside_the_cooldown_and_only_predictive_goes_up(
    policy: Policy[Any], steps: list[tuple[float, Observation]]
) -> None:
    state, now_s, rule, stepped_s = policy.first, 1000.0, rule_of(cooldown_s=100), -math.inf
    for elapsed_s, seen in steps:
        now_s += elapsed_s
        inside = replace(seen, replicas=max(2, min(12, seen.replicas)), ready=min(12, seen.ready))
        decision, state = policy.decide(inside, state, rule, now_s)
        if decision.action is Action.NONE:
            continue
        if now_s - stepped_s < 100:
            assert (policy.name, decision.action) == ("predictive", Action.SCALE_UP)
        stepped_s = now_s


@EVERY
@given(observations(), st.floats(0, 400), st.floats(0, 400), st.integers(2, 12))
def test_more_load_never_asks_for_less(
    policy: Policy[Any], seen: Observation, light: float, heavy: float, replicas: int
) -> None:
    light, heavy = min(light, heavy), max(light, heavy)
    base = replace(seen, replicas=replicas, ready=replicas, reporting=None, age_s=0, window_s=2.0)
    few, many = (
        policy.decide(
            replace(base, in_flight=load, queued=load, response_time_s=load / 10, cpu=load / 200, arrivals=load),
            policy.first,
            rule_of(),
            0.0,
        )[0].target_instances
        for load in (light, heavy)
    )
    assert few <= many


@EVERY
@given(observations())
def test_without_metrics_it_holds(policy: Policy[Any], seen: Observation) -> None:
    blind = Observation(replicas=max(2, min(12, seen.replicas)), ready=seen.ready, forecast=seen.forecast)
    decision, state = policy.decide(blind, policy.first, rule_of(), 5.0)
    assert (decision.action, decision.reason) == (Action.NONE, Reason.METRICS_MISSING)
    assert decision.binding
    assert state == policy.first


@EVERY
@given(st.lists(st.tuples(st.floats(0.1, 60), observations()), min_size=1, max_size=15), st.floats(-1e6, 1e6))
def test_a_state_that_moved_with_the_clock_decides_the_same(
    policy: Policy[Any], steps: list[tuple[float, Observation]], by_s: float
) -> None:
    by_s = round(by_s)
    state, now_s, rule = policy.first, 1000.0, rule_of(cooldown_s=50)
    for elapsed_s, seen in steps:
        now_s += round(elapsed_s * 4) / 4 + 0.25
        there, _ = policy.decide(seen, state.moved(by_s), rule, now_s + by_s)
        here, state = policy.decide(seen, state, rule, now_s)
        assert (there.action, there.target_instances, there.reason) == (here.action, here.target_instances, here.reason)


@EVERY
def test_what_runs_outside_its_bounds_is_brought_back_without_any_metric(policy: Policy[Any]) -> None:
    for replicas, target in ((0, 2), (40, 12)):
        decision, _ = policy.decide(Observation(replicas, 0), policy.first, rule_of(), 0.0)
        assert (decision.target_instances, decision.reason) == (target, Reason.OUT_OF_BOUNDS)
