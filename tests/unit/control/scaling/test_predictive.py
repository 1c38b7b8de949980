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
    assert (raised.target_instances, raised.reason, raised.binding) == (8, Reason.FORECAST, "forecast")
    for forecast in (Forecast(0.0, 60, True), Forecast(None, 60, True), Forecast(7.0, 60, False), None):
        decision, _ = run(replace(SEEN, forecast=forecast), range(1))
        assert decision.action is Action.NONE


def test_what_a_forecast_asked_for_is_kept_for_its_own_hold() -> None:
    low = replace(SEEN, replicas=8, ready=8, in_flight=2.0, arrivals=2.0)
    rule = replace(RULE, tuning=Tuning(30, 0.9, 0.01, 200))
    kept, state = run(replace(low, forecast=Forecast(7.0, 60, True)), range(0, 120, 2), rule=rule)
    assert kept.action is Action.NONE
    for now_s in range(120, 310, 2):
        gone, state = decide(replace(low, forecast=Forecast(0.1, 60, True)), state, rule, now_s)
        assert gone.action is Action.NONE
    assert "200 s" in gone.binding
    assert decide(replace(low, forecast=Forecast(0.1, 60, True)), state, rule, 320)[0].action is Action.SCALE_DOWN


def test_what_was_tuned_for_a_fleet_with_a_forecast_is_not_used_without_it() -> None:
    busy = replace(SEEN, in_flight=16.0, arrivals=10.0)
    rule = replace(RULE, tuning=Tuning(30, 0.95, 0.3, 200))
    low = Forecast(0.5, 60, True)
    with_it, _ = run(replace(busy, forecast=low), range(0, 100, 2), rule=rule)
    without, _ = run(busy, range(0, 100, 2), rule=rule)
    assert without.target_instances == run(busy, range(0, 100, 2))[0].target_instances
    assert without.target_instances > with_it.target_instances


def test_a_spread_asks_for_what_its_tail_is_worth() -> None:
    narrow = Forecast(4.0, 60, True, ((1.0, 4.0),))
    wide = Forecast(4.0, 60, True, ((0.97, 4.0), (0.03, 9.0)))
    few, many = (run(replace(SEEN, forecast=f), range(1))[0].target_instances for f in (narrow, wide))
    assert few < many
    lenient = replace(RULE, tuning=Tuning(peak_late=0.2))
    assert run(replace(SEEN, forecast=wide), range(1), rule=lenient)[0].target_instances <= few


def test_a_promise_below_the_services_own_time_does_not_pin_it_at_the_maximum() -> None:
    rule = Rule(1, 20, ScalingSettings(slots=4), SloSettings(latency_ms=500))
    assert run(SEEN, range(1), rule=rule)[0].target_instances <= 5
