"""Predictive policy, the default: it keeps every replica that is likely to be needed, and grows at once under load.

wish = the most demanding of

| binding           | replicas                                                                                    |
|-------------------|---------------------------------------------------------------------------------------------|
| in_flight         | smoothed in-flight ÷ (slots × utilisation)                                                  |
| slo               | the fewest that keep [slo] under M/G/n (queueing.py), once the capacity model is learnt     |
| overload_errors   | one more than run, while replicas answer 429 or 503 or time out and none is starting        |
| recurring         | the fewest for which the chance of being too few is below 1 − slo.share, by the past load   |
|                   | on all time scales (remembered.py)                                                          |
| forecast          | replaces recurring where a forecast is trusted: uses the mean of its chance and that chance |

Scaling up is immediate and by as many replicas as needed, but a small step waits half a cold start after the last one.
Scaling down needs `hold_s` without a change, and goes to the number that a chance of KEEP × (1 − slo.share) still asks
for (a smaller chance where the load is steady). Every replica must report, no overload may be present, and CPU and
memory, where known, must stay within their limits with fewer replicas.

The policy therefore does not depend on a hold or target that fits one trace only: a level that the load reaches every
few minutes is kept, a level that it reached once is soon given up, sooner the more requests may be late. The trade-off
is set by one number, slo.share. In-flight is the base because it needs no model and grows when something is slow.
Errors other than overload add no replicas, because more replicas do not cure a broken dependency.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np

from argosy.contracts.scaling import Action, Decision, Reason
from argosy.control.observation import Capacity, Forecast, Observation
from argosy.control.scaling.decision import Rule, decided, held
from argosy.control.scaling.exceedance import Floats, Remembered
from argosy.control.scaling.policies.policy import Policy, cooling, gap_s, missing, whole
from argosy.control.scaling.queueing import effective, replicas_for_slo, rounded_up
from argosy.control.scaling.stabilisation import Calm, Smoothed, shifted

LEAST_HOLD_S = 60.0
QUICK_HOLD_S, QUICK_PER_COLD_START = 300.0, 30.0
HOLD_PER_COLD_START, FORESEEN_PER_COLD_START = 10.0, 5.0
"""Hold in cold starts, without and with a trusted forecast, which tells what a longer wait would show."""
SMOOTHED_PER_COLD_START = 0.3
LEAST_SMOOTHED_S = 1.0
KEEP = 0.25
"""Running replicas are kept at this share of the chance that starts them.

A start is expensive and the chance fluctuates. The share is smaller in proportion where the load is steady: removing a
replica saves little there and is soon reverted.
"""
SMALL_STEP = 0.25
"""Growth up to which a step is small, as a share of the running replicas, or one replica."""
SMALL_STEP_WAITS = 0.5
"""Wait after a step, in cold starts: only then is it visible whether the new replicas are enough."""
MOST = 10**6


class PredictiveState(msgspec.Struct, frozen=True):
    stepped_s: float | None = None
    grown_s: float | None = None
    """Time at which a replica was last added."""
    load: Smoothed = Smoothed()
    """Smoothed requests in flight."""
    remembered: Remembered = Remembered()
    steady: Calm = Calm()
    """Time since the last change."""
    calm: Calm = Calm()
    """Time since which fewer replicas would be enough."""

    def moved(self, by_s: float) -> PredictiveState:
        return PredictiveState(
            shifted(self.stepped_s, by_s),
            shifted(self.grown_s, by_s),
            self.load.moved(by_s),
            self.remembered.moved(by_s),
            self.steady.moved(by_s),
            self.calm.moved(by_s),
        )


def within_bounds(
    seen: Observation, state: PredictiveState, rule: Rule, now_s: float
) -> tuple[Decision, PredictiveState]:
    settings = rule.settings.predictive
    absent = missing(seen, rule, ("in_flight",))
    if absent or seen.in_flight is None:
        return held(seen, Reason.METRICS_MISSING, metrics={"in_flight": seen.in_flight}, binding=absent), state
    longest_s = gap_s(rule, max(settings.interval_s, rule.settings.stale_s))
    load = state.load.next(seen.in_flight, now_s, smoothed_s(seen, rule))
    remembered = state.remembered.next(load.value or 0.0, now_s, seen.expected_start_s, longest_s)
    limits = _limits(rule, _learnt(seen) or Capacity(1.0, rule.settings.slots))
    alone = remembered.above(limits)
    chances = _with_forecast(alone, limits, seen, rule)
    late = 1 - rule.slo.share
    wishes = _present(seen, rule, load.value or 0.0)
    present = max(wishes.values())
    wishes["recurring" if chances is alone else "forecast"] = int(np.count_nonzero(chances >= late))
    binding = max(wishes, key=wishes.__getitem__)
    wish = wishes[binding]
    steady = state.steady.next(True, now_s, longest_s)
    calm = state.calm.next(wish < seen.replicas, now_s, longest_s)
    kept = PredictiveState(state.stepped_s, state.grown_s, load, remembered, steady, calm)
    metrics = {
        "in_flight": seen.in_flight,
        "load": load.value,
        "arrivals_rps": None if seen.arrivals is None else seen.arrivals / seen.window_s,
        "overload_errors": seen.overload_errors,
        "cpu": seen.cpu,
        "memory": seen.memory,
        "forecast_replicas": seen.forecast.peak_replicas if seen.forecast else None,
        "chance_of_more": float(chances[seen.replicas]) if seen.replicas < len(chances) else None,
        **{f"wish_{name}": float(count) for name, count in wishes.items()},
    }
    calm_s = calm.duration_s(now_s)
    if wish > seen.replicas:
        left_s = _small_step_waits_s(seen, state, wish, now_s)
        if left_s > 0:
            why = f"{binding} asks for {wish}; a small step waits for another {left_s:.0f} s"
            return held(seen, Reason.STABILISING, metrics=metrics, calm_s=calm_s, binding=why), kept
        expected = binding == "forecast" and present <= seen.replicas
        reason = Reason.FORECAST if expected else Reason.HIGH_LOAD_DETECTED
        return decided(seen, rule, wish, reason, metrics=metrics, calm_s=calm_s, binding=binding), kept
    keep = late * KEEP * remembered.restlessness
    floor = rule.bounded(max(wish, int(np.count_nonzero(chances >= keep))))
    if floor >= seen.replicas:
        why = binding
        if seen.replicas > rule.bounded(wish):
            why = f"{binding} asks for {wish}; replicas are kept while the chance of needing them is above {keep:.2g}"
        return held(seen, Reason.NO_SCALING_NEEDED, metrics=metrics, calm_s=calm_s, binding=why), kept
    left = cooling(state.stepped_s, settings.cooldown_s, now_s)
    if left:
        return held(seen, Reason.COOLDOWN_ACTIVE, metrics=metrics, calm_s=calm_s, binding=left), kept
    hold_s, steady_s = hold(seen, rule), steady.duration_s(now_s)
    if steady_s < hold_s:
        why = f"{floor} would be enough; a hold of {hold_s:g} s, {hold_s - steady_s:.0f} s of it left"
        return held(seen, Reason.STABILISING, metrics=metrics, calm_s=calm_s, binding=why), kept
    target, objection = _without_harm(seen, rule, floor)
    if target >= seen.replicas:
        return held(seen, Reason.NO_SCALING_NEEDED, metrics=metrics, calm_s=calm_s, binding=objection), kept
    why = objection or f"the chance that more than {floor} are needed is below {keep:.2g}"
    return decided(seen, rule, target, Reason.SUSTAINED_LOW_USAGE, metrics=metrics, calm_s=calm_s, binding=why), kept


def hold(seen: Observation, rule: Rule) -> float:
    """Return the seconds without a change before a step down: the setting, else by the cold start."""
    if rule.settings.predictive.hold_s is not None:
        return rule.settings.predictive.hold_s
    if _trusted(seen) is not None:
        return max(LEAST_HOLD_S, FORESEEN_PER_COLD_START * seen.expected_start_s)
    quick_s = min(QUICK_HOLD_S, QUICK_PER_COLD_START * seen.expected_start_s)
    return max(LEAST_HOLD_S, quick_s, HOLD_PER_COLD_START * seen.expected_start_s)


def smoothed_s(seen: Observation, rule: Rule) -> float:
    """Return the time constant of the load: a peak that is over before a replica is ready is not worth a replica."""
    if rule.settings.predictive.load_window_s is not None:
        return rule.settings.predictive.load_window_s
    return max(LEAST_SMOOTHED_S, SMOOTHED_PER_COLD_START * seen.expected_start_s)


def slack_s(rule: Rule, capacity: Capacity) -> float:
    """Return how long a request may wait.

    Without a latency SLO, or with one below the service's own time, which replicas cannot keep, a response may take
    twice the service's own time.
    """
    if rule.slo.latency_ms is None or rule.slo.latency_ms / 1000 <= capacity.service_time_s:
        return capacity.service_time_s
    return rule.slo.latency_ms / 1000 - capacity.service_time_s


def _present(seen: Observation, rule: Rule, load: float) -> dict[str, int]:
    """Return the replicas that the present load asks for, by reason."""
    settings, capacity = rule.settings.predictive, _learnt(seen)
    slots = capacity.slots if capacity else rule.settings.slots
    wishes = {"in_flight": whole(min(load / (slots * settings.utilisation), MOST))}
    if capacity is not None and load > 0:
        late, most = 1 - rule.slo.share, rule.max_instances
        wishes["slo"] = _replicas_for_slo(rounded_up(load), capacity, slack_s(rule, capacity), late, most)
    if seen.overload_errors is not None and seen.overload_errors > settings.overload_share:
        wishes["overload_errors"] = seen.replicas + (seen.ready == seen.replicas)
    return wishes


def _with_forecast(chances: Floats, limits: Floats, seen: Observation, rule: Rule) -> Floats:
    """Return the mean of both chances when a forecast is trusted, else `chances`."""
    forecast = _trusted(seen)
    if forecast is None:
        return chances
    capacity = _learnt(seen)
    slots = capacity.slots if capacity else rule.settings.slots
    return (chances + _expected(forecast, limits / slots)) / 2


def _trusted(seen: Observation) -> Forecast | None:
    forecast = seen.forecast
    return forecast if forecast is not None and forecast.trusted and forecast.peak_replicas is not None else None


def _expected(forecast: Forecast, limits: Floats) -> Floats:
    """Return the chance that the highest load of the window exceeds each limit, both in replicas' worth."""
    chances, peaks = zip(*(forecast.spread or ((1.0, forecast.peak_replicas or 0.0),)), strict=True)
    found: Floats = np.array(chances) @ (np.array(peaks)[:, None] > limits)
    return found


def _limits(rule: Rule, capacity: Capacity) -> Floats:
    """Return the load in requests above which 0, 1, 2 … replicas are too few, up to one fewer than the maximum."""
    return _limits_of(capacity.slots * rule.settings.predictive.utilisation, capacity, rule.max_instances)


@lru_cache(maxsize=64)
def _limits_of(each: float, capacity: Capacity, most: int) -> Floats:
    works = [0.0] + [effective(replicas, capacity) for replicas in range(1, most)]
    limits: Floats = each * np.maximum.accumulate(np.array(works[:most]))
    return limits


_replicas_for_slo = lru_cache(maxsize=4096)(replicas_for_slo)


def _learnt(seen: Observation) -> Capacity | None:
    return seen.capacity if seen.capacity is not None and seen.capacity.learnt else None


def _small_step_waits_s(seen: Observation, state: PredictiveState, wish: int, now_s: float) -> float:
    if state.grown_s is None or wish >= seen.replicas * (1 + SMALL_STEP) + 1:
        return 0.0
    return SMALL_STEP_WAITS * seen.expected_start_s - (now_s - state.grown_s)


def stepped(state: PredictiveState, before: int, decision: Decision, now_s: float) -> PredictiveState:
    grown_s = now_s if decision.action is Action.SCALE_UP else state.grown_s
    return msgspec.structs.replace(state, stepped_s=now_s, grown_s=grown_s, steady=Calm(), calm=Calm())


def _without_harm(seen: Observation, rule: Rule, floor: int) -> tuple[int, str]:
    """Return the fewest replicas from `floor` on that CPU, memory and missing reports allow, and the objection."""
    settings = rule.settings.predictive
    if not seen.complete:
        return seen.replicas, f"{seen.ready - seen.known_of} ready replicas do not report"
    if seen.memory is not None and seen.memory > settings.memory_limit:
        return seen.replicas, f"memory {seen.memory:.2f} > {settings.memory_limit:g}"
    if seen.cpu is None:
        return floor, ""
    capacity = _learnt(seen) or Capacity(1.0)
    work = seen.cpu * effective(max(1, seen.ready), capacity)
    for replicas in range(floor, seen.replicas):
        if work <= settings.cpu_limit * effective(replicas, capacity):
            return replicas, "" if replicas == floor else f"cpu would be above {settings.cpu_limit:g} with fewer"
    return seen.replicas, f"cpu would be above {settings.cpu_limit:g} with fewer"


PREDICTIVE = Policy(
    "predictive", PredictiveState(), within_bounds, stepped, lambda rule: rule.settings.predictive.interval_s
)
