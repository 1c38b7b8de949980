"""Each term of the policy `predictive`, its hold, and what it refuses to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from argosy.config.scaling import PredictiveSettings, ScalingSettings, SloSettings
from argosy.contracts.scaling import Action, Decision, Reason
from argosy.control.scaling.decision import Rule, Tuning
from argosy.control.scaling.observation import Capacity, Forecast, Observation
from argosy.control.scaling.policies.predictive import PredictiveState, decide, hold

pytestmark = pytest.mark.unit

RULE = Rule(1, 20, ScalingSettings(slots=4))
CAPACITY = Capacity(2.0, slots=4)
SEEN = Observation(replicas=4, ready=4, in_flight=8.0, arrivals=8.0, window_s=2.0, capacity=CAPACITY, cold_start_s=2)


def run(
    seen: Observation, times_s: range, state: PredictiveState | None = None, rule: Rule = RULE
) -> tuple[Decision, PredictiveState]:
    state = state or PredictiveState()
    decision = Decision(Action.NONE, 0, Reason.NO_SCALING_NEEDED)
    for now_s in times_s:
        decision, state = decide(seen, state, rule, now_s)
    return decision, state


def test_it_takes_as_many_steps_at_once_as_are_needed() -> None:
    decision, _ = run(replace(SEEN, in_flight=40.0), range(1))
    assert decision.target_instances >= 15
    assert decision.reason is Reason.HIGH_LOAD_DETECTED


def test_without_a_learnt_model_in_flight_decides() -> None:
    for capacity in (None, Capacity(2.0, slots=4, samples=199), Capacity(2.0, slots=4, r2=0.79)):
        decision, _ = run(replace(SEEN, in_flight=28.0, capacity=capacity), range(1))
        assert (decision.target_instances, decision.binding) == (10, "in_flight")
        assert "wish_slo" not in decision.metrics


def test_the_slo_decides_where_it_needs_more_than_utilisation() -> None:
    strict = Rule(1, 20, ScalingSettings(slots=4), SloSettings(latency_ms=2050, share=0.999))
    decision, _ = run(replace(SEEN, in_flight=11.0, arrivals=None), range(1), rule=strict)
    assert decision.binding == "slo"
    assert decision.target_instances > 4


def test_a_burst_counts_only_when_chance_does_not_explain_it() -> None:
    _, state = run(replace(SEEN, arrivals=8.0), range(0, 60, 2))
    chance, _ = decide(replace(SEEN, arrivals=16.0), state, RULE, 60)
    assert "wish_burst" not in chance.metrics
    burst, _ = decide(replace(SEEN, arrivals=30.0), state, RULE, 60)
    assert burst.metrics["wish_burst"] == 11


def test_only_overload_errors_ask_for_more() -> None:
    dependency, _ = run(replace(SEEN, errors=0.9), range(0, 10, 2))
    assert dependency.action is Action.NONE
    overload, _ = run(replace(SEEN, errors=0.9, overload_errors=0.05), range(1))
    assert (overload.target_instances, overload.binding) == (5, "overload_errors")
    one_starts, _ = run(replace(SEEN, replicas=5, overload_errors=0.05), range(1))
    assert one_starts.action is Action.NONE


def test_going_down_waits_for_the_hold_and_keeps_what_was_wanted_within_it() -> None:
    low = replace(SEEN, replicas=8, ready=8, in_flight=0.5, arrivals=0.5)
    waiting, _ = run(low, range(0, 60, 2))
    assert (waiting.action, waiting.reason) == (Action.NONE, Reason.STABILISING)
    down, _ = run(low, range(0, 61, 2))
    assert (down.action, down.target_instances, down.reason) == (Action.SCALE_DOWN, 1, Reason.SUSTAINED_LOW_USAGE)
    _, state = run(replace(low, in_flight=15.0), range(0, 30, 2))
    recent, state = run(low, range(30, 80, 2), state)
    assert recent.action is Action.NONE or recent.target_instances >= 6
    assert run(low, range(80, 110, 2), state)[0].target_instances == 1


def test_a_step_down_waits_for_the_cooldown_where_one_is_set() -> None:
    patient = Rule(1, 20, ScalingSettings(slots=4, predictive=PredictiveSettings(cooldown_s=500)))
    _, state = run(replace(SEEN, in_flight=40.0), range(1), rule=patient)
    low = replace(SEEN, replicas=15, ready=15, in_flight=0.5, arrivals=0.5)
    waiting, state = run(low, range(2, 500, 2), state, patient)
    assert (waiting.action, waiting.reason) == (Action.NONE, Reason.COOLDOWN_ACTIVE)
    assert run(low, range(500, 502, 2), state, patient)[0].action is Action.SCALE_DOWN


@pytest.mark.parametrize(("cold_start_s", "expected_s"), [(2, 60), (30, 300), (120, 1200)])
def test_the_hold_grows_with_the_cold_start(cold_start_s: float, expected_s: float) -> None:
    assert hold(replace(SEEN, cold_start_s=cold_start_s), RULE) == expected_s
    assert hold(SEEN, replace(RULE, tuning=Tuning(hold_s=17))) == 17


def test_fewer_are_only_run_if_their_cpu_would_bear_it() -> None:
    low = replace(SEEN, replicas=8, ready=8, in_flight=1.0, arrivals=1.0, cpu=0.5)
    decision, _ = run(low, range(0, 61, 2))
    assert decision.target_instances == 5
    assert "cpu" in decision.binding
    full, _ = run(replace(low, memory=0.95), range(0, 61, 2))
    assert full.action is Action.NONE
    assert "memory" in full.binding
    silent, _ = run(replace(low, reporting=7), range(0, 61, 2))
    assert silent.action is Action.NONE


def test_a_forecast_raises_and_never_lowers() -> None:
    raised, _ = run(replace(SEEN, forecast=Forecast(7.0, 60, True)), range(1))
    assert (raised.target_instances, raised.reason, raised.binding) == (10, Reason.FORECAST, "forecast")
    for forecast in (Forecast(0.0, 60, True), Forecast(None, 60, True), Forecast(7.0, 60, False), None):
        decision, _ = run(replace(SEEN, forecast=forecast), range(1))
        assert decision.action is Action.NONE


def test_a_forecast_has_no_hold() -> None:
    low = replace(SEEN, replicas=10, ready=10, in_flight=2.0, arrivals=2.0)
    kept, state = run(replace(low, forecast=Forecast(7.0, 60, True)), range(0, 120, 2))
    assert kept.action is Action.NONE
    gone, _ = decide(low, state, RULE, 120)
    assert gone.action is Action.SCALE_DOWN


def test_a_promise_below_the_services_own_time_does_not_pin_it_at_the_maximum() -> None:
    rule = Rule(1, 20, ScalingSettings(slots=4), SloSettings(latency_ms=500))
    assert run(SEEN, range(1), rule=rule)[0].target_instances <= 5
