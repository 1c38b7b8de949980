"""Each term of the policy `predictive`, its hold, and the changes that it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from argosy.config.scaling import PredictiveSettings, ScalingSettings, SloSettings
from argosy.contracts.scaling import Action, Decision, Reason
from argosy.control.observation import Capacity, Forecast, Observation
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.exceedance import LEAST_STEEP, RESTLESS, Remembered
from argosy.control.scaling.policies.predictive import PREDICTIVE, PredictiveState, hold

pytestmark = pytest.mark.unit

decide = PREDICTIVE.decide

RULE = Rule(1, 20, ScalingSettings(slots=4, predictive=PredictiveSettings(hold_s=60)))
PRESENT_LOAD_ONLY = replace(RULE, slo=SloSettings(share=0.5))
"""Rule under which recurring load needs no more replicas than the present load."""
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
        seen = replace(SEEN, in_flight=28.0, capacity=capacity)
        decision, _ = run(seen, range(1), rule=PRESENT_LOAD_ONLY)
        assert decision.metrics["wish_in_flight"] == 9
        assert decision.target_instances == decision.metrics["wish_recurring"] == 10
        assert "wish_slo" not in decision.metrics


def test_the_slo_decides_where_it_needs_more_than_utilisation() -> None:
    strict = Rule(1, 20, ScalingSettings(slots=4), SloSettings(latency_ms=2050, share=0.999))
    decision, _ = run(replace(SEEN, in_flight=11.0, arrivals=None), range(1), rule=strict)
    wish_slo = decision.metrics["wish_slo"]
    assert wish_slo is not None
    assert wish_slo > 4
    assert decision.target_instances >= wish_slo


def test_only_overload_errors_ask_for_more() -> None:
    rule = PRESENT_LOAD_ONLY
    dependency, _ = run(replace(SEEN, errors=0.9), range(0, 10, 2), rule=rule)
    assert dependency.action is Action.NONE
    overload, _ = run(replace(SEEN, errors=0.9, overload_errors=0.05), range(1), rule=rule)
    assert (overload.target_instances, overload.binding) == (5, "overload_errors")
    one_starts, _ = run(replace(SEEN, replicas=5, overload_errors=0.05), range(1), rule=rule)
    assert one_starts.action is Action.NONE


def test_going_down_waits_until_nothing_was_changed_for_the_hold() -> None:
    low = replace(SEEN, replicas=8, ready=8, in_flight=0.5, arrivals=0.5)
    waiting, _ = run(low, range(0, 60, 2))
    assert (waiting.action, waiting.reason) == (Action.NONE, Reason.STABILISING)
    assert "a hold of 60 s, 2 s of it left" in waiting.binding
    down, state = run(low, range(0, 61, 2))
    assert (down.action, down.target_instances, down.reason) == (Action.SCALE_DOWN, 1, Reason.SUSTAINED_LOW_USAGE)
    again, _ = run(replace(low, replicas=5, ready=5), range(62, 120, 2), state)
    assert again.reason is Reason.STABILISING


def test_a_level_that_recurs_is_kept_and_one_that_was_reached_once_is_not() -> None:
    calm, busy = (replace(SEEN, replicas=9, ready=9, in_flight=load) for load in (1.0, 24.0))
    recurring, once = PredictiveState(), PredictiveState()
    for minute in range(0, 3600, 120):
        _, recurring = run(busy, range(minute, minute + 10, 2), recurring)
        _, recurring = run(calm, range(minute + 10, minute + 120, 2), recurring)
    kept, _ = run(calm, range(3600, 3602, 2), recurring)
    assert kept.metrics["wish_recurring"] == pytest.approx(8, abs=1)
    assert kept.target_instances >= 8
    _, once = run(busy, range(0, 10, 2), once)
    given_up, _ = run(calm, range(10, 3602, 2), once)
    few = given_up.metrics["wish_recurring"]
    assert few is not None
    assert few < 4


@pytest.mark.parametrize(
    ("growth", "of_the_share"),
    [(0.0, 1 / 16), (0.4 * 2 / RESTLESS**2, 0.1), (1.1 * 2 / RESTLESS**2, 0.25), (2 / LEAST_STEEP**2, 0.25)],
)
def test_what_runs_is_kept_the_longer_the_steadier_the_load_was(growth: float, of_the_share: float) -> None:
    idle = replace(SEEN, replicas=20, ready=20, in_flight=4.0)
    decision, _ = run(idle, range(0, 62, 2), PredictiveState(remembered=Remembered(growth=growth)))
    assert decision.action is Action.SCALE_DOWN
    kept = float(decision.binding.rpartition(" below ")[2])
    assert kept == pytest.approx(of_the_share * (1 - RULE.slo.share), rel=0.15)


def test_the_share_that_may_be_late_is_the_price_of_a_replica() -> None:
    wishes = []
    for share in (0.5, 0.995, 0.9999):
        rule = replace(RULE, slo=SloSettings(share=share))
        state = PredictiveState()
        for now_s in range(0, 1200, 2):
            bursting = replace(SEEN, capacity=None, in_flight=20.0 if now_s % 200 < 10 else 3.0)
            decision, state = decide(bursting, state, rule, now_s)
        wishes.append(decision.metrics["wish_recurring"] or 0.0)
    assert wishes == sorted(set(wishes))


def test_a_small_step_waits_until_the_last_one_could_show() -> None:
    slow, rule = replace(SEEN, capacity=None, cold_start_s=30, in_flight=40.0), PRESENT_LOAD_ONLY
    first, state = run(slow, range(1), rule=rule)
    assert first.action is Action.SCALE_UP
    grown = replace(slow, replicas=first.target_instances, ready=4)
    little, _ = run(replace(grown, in_flight=52.0), range(2, 14, 2), state, rule)
    assert (little.action, little.reason) == (Action.NONE, Reason.STABILISING)
    assert "small step" in little.binding
    much, _ = run(replace(grown, in_flight=400.0), range(2, 4, 2), state, rule)
    assert much.action is Action.SCALE_UP
    decisions = [run(replace(grown, in_flight=52.0), range(2, end, 2), state, rule)[0] for end in (12, 18)]
    assert [decision.action for decision in decisions] == [Action.NONE, Action.SCALE_UP]


def test_a_step_down_waits_for_the_cooldown_where_one_is_set() -> None:
    patient = Rule(1, 20, ScalingSettings(slots=4, predictive=PredictiveSettings(cooldown_s=500, hold_s=60)))
    _, state = run(replace(SEEN, in_flight=40.0), range(1), rule=patient)
    low = replace(SEEN, replicas=15, ready=15, in_flight=0.5, arrivals=0.5)
    waiting, state = run(low, range(2, 500, 2), state, patient)
    assert (waiting.action, waiting.reason) == (Action.NONE, Reason.COOLDOWN_ACTIVE)
    assert run(low, range(500, 502, 2), state, patient)[0].action is Action.SCALE_DOWN


@pytest.mark.parametrize(
    ("cold_start_s", "expected_s"), [(1, 60), (2, 60), (5, 150), (10, 300), (30, 300), (120, 1200)]
)
def test_the_hold_grows_with_the_cold_start(cold_start_s: float, expected_s: float) -> None:
    assert hold(replace(SEEN, cold_start_s=cold_start_s), Rule()) == expected_s
    assert hold(SEEN, replace(RULE, settings=ScalingSettings(predictive=PredictiveSettings(hold_s=17)))) == 17


@pytest.mark.parametrize(("cold_start_s", "expected_s"), [(2, 60), (10, 60), (30, 150), (120, 600)])
def test_the_hold_is_shorter_while_a_forecast_is_trusted(cold_start_s: float, expected_s: float) -> None:
    seen = replace(SEEN, cold_start_s=cold_start_s)
    assert hold(replace(seen, forecast=Forecast(7.0, 60, True)), Rule()) == expected_s
    for forecast in (Forecast(None, 60, True), Forecast(7.0, 60, False)):
        assert hold(replace(seen, forecast=forecast), Rule()) == hold(seen, Rule())


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


def test_a_forecast_that_is_trusted_raises() -> None:
    raised, _ = run(replace(SEEN, forecast=Forecast(7.0, 60, True)), range(1))
    assert (raised.reason, raised.binding) == (Reason.FORECAST, "forecast")
    assert raised.target_instances >= 9
    for forecast in (Forecast(0.0, 60, True), Forecast(None, 60, True), Forecast(7.0, 60, False), None):
        decision, _ = run(replace(SEEN, forecast=forecast), range(1))
        assert decision.target_instances <= run(SEEN, range(1))[0].target_instances


def test_a_forecast_of_little_takes_nothing_away_that_often_was_needed() -> None:
    low = replace(SEEN, replicas=11, ready=11, in_flight=20.0, forecast=Forecast(0.1, 60, True))
    _, state = run(low, range(0, 600, 2))
    decision, _ = run(replace(low, in_flight=1.0), range(600, 660, 2), state)
    assert decision.action is Action.NONE


def test_a_spread_asks_for_what_its_tail_is_worth() -> None:
    narrow = Forecast(4.0, 60, True, ((1.0, 4.0),))
    wide = Forecast(4.0, 60, True, ((0.97, 4.0), (0.03, 9.0)))
    few, many = (run(replace(SEEN, forecast=f), range(1))[0].target_instances for f in (narrow, wide))
    assert few < many
    lenient = replace(RULE, slo=SloSettings(share=0.8))
    assert run(replace(SEEN, forecast=wide), range(1), rule=lenient)[0].target_instances <= few


def test_a_promise_below_the_services_own_time_does_not_pin_it_at_the_maximum() -> None:
    rule = Rule(1, 20, ScalingSettings(slots=4), SloSettings(latency_ms=500))
    assert run(SEEN, range(1), rule=rule)[0].target_instances <= 5
