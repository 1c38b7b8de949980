"""Sized for the SLO by a queueing model, raised for backlog, bursts and forecasts; the default.

wish = the most demanding of

| binding           | replicas                                                                                    |
|-------------------|---------------------------------------------------------------------------------------------|
| in_flight         | smoothed in-flight ÷ (slots × utilisation)                                                  |
| slo               | the fewest that keep [slo] under M/G/n (queueing.py), once the capacity model is learnt     |
| backlog           | what gives everything present a slot within `backlog_s`                                     |
| burst             | the rate of the last window, if `burst_sigma` above chance, × service time                  |
| overload_errors   | one more than run, while replicas answer 429 or 503 or time out and none is starting        |
| forecast          | the fewest that keep [slo] at the peak expected within a cold start                         |

Up: at once, by as many as it takes. Down: to the highest wish of the last `hold_s` (the forecast has its own hold),
when every replica reports, nothing is overloaded and CPU and memory, where they are known, would stay within their
limits with fewer. Replay of the last days chooses holds, utilisation and what the forecast may bring late
(`control/prediction/replay.py`). In-flight is the base because it needs no model and grows when something is slow;
other errors than overload ask for nothing, because more replicas do not cure a broken dependency. Where the capacity
model is not learnt, this is target tracking on in-flight.
"""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec

from argosy.contracts.scaling import Action, Decision, Reason
from argosy.control.scaling.decision import Rule, Tuning, decided, held, out_of_bounds
from argosy.control.scaling.observation import Capacity, Observation
from argosy.control.scaling.policies.policy import OBSERVED_INTERVALS, Policy, cooling, missing, whole
from argosy.control.scaling.queueing import effective, replicas_for_slo, replicas_for_spread
from argosy.control.scaling.stabilisation import Calm, Peak, Smoothed, shifted

LEAST_HOLD_S = 60.0
HOLD_PER_COLD_START = 10.0
MOST = 10**6


class PredictiveState(msgspec.Struct, frozen=True):
    stepped_s: float | None = None
    load: Smoothed = Smoothed()
    """Requests in flight."""
    rate: Smoothed = Smoothed()
    """Arrivals per second, the baseline of bursts."""
    wishes: Peak = Peak()
    foreseen: Peak = Peak()
    """What the forecast asked for; it has a hold of its own."""
    calm: Calm = Calm()

    def moved(self, by_s: float) -> PredictiveState:
        return PredictiveState(
            shifted(self.stepped_s, by_s),
            self.load.moved(by_s),
            self.rate.moved(by_s),
            self.wishes.moved(by_s),
            self.foreseen.moved(by_s),
            self.calm.moved(by_s),
        )


def decide(seen: Observation, state: PredictiveState, rule: Rule, now_s: float) -> tuple[Decision, PredictiveState]:
    outside = out_of_bounds(seen, rule)
    if outside is not None:
        return outside, msgspec.structs.replace(state, stepped_s=now_s)
    seen, settings = seen.sound(), rule.settings.predictive
    absent = missing(seen, rule, ("in_flight",))
    if absent or seen.in_flight is None:
        return held(seen, Reason.METRICS_MISSING, metrics={"in_flight": seen.in_flight}, binding=absent), state
    load = state.load.next(seen.in_flight, now_s, settings.load_window_s)
    expected, rule = _expected(seen, rule), _with_tuning_that_fits(seen, rule)
    wishes = _reactive(seen, rule, load.value or 0.0, state.rate)
    binding = max(wishes, key=wishes.__getitem__)
    wish = wishes[binding]
    gap_s = OBSERVED_INTERVALS * max(settings.interval_s, rule.settings.stale_s)
    hold_s = hold(seen, rule)
    peak = state.wishes.next(wish, now_s, hold_s, gap_s)
    peak_hold_s = hold_s if rule.tuning.peak_hold_s is None else rule.tuning.peak_hold_s
    foreseen = state.foreseen.next(expected, now_s, peak_hold_s, gap_s)
    calm = state.calm.next(max(wish, expected) < seen.replicas, now_s, gap_s)
    kept = PredictiveState(state.stepped_s, load, _baseline(seen, state.rate, now_s, rule), peak, foreseen, calm)
    metrics = {
        "in_flight": seen.in_flight,
        "load": load.value,
        "arrivals_rps": None if seen.arrivals is None else seen.arrivals / seen.window_s,
        "overload_errors": seen.overload_errors,
        "cpu": seen.cpu,
        "memory": seen.memory,
        "forecast_replicas": seen.forecast.peak_replicas if seen.forecast else None,
        **{f"wish_{name}": float(count) for name, count in wishes.items()},
    }
    calm_s = calm.duration_s(now_s)
    if max(wish, expected) > seen.replicas:
        early = expected > wish
        reason, why = (Reason.FORECAST, "forecast") if early else (Reason.HIGH_LOAD_DETECTED, binding)
        decision = decided(seen, rule, max(wish, expected), reason, metrics=metrics, calm_s=calm_s, binding=why)
        stepped = decision.action is not Action.NONE
        return decision, msgspec.structs.replace(kept, stepped_s=now_s) if stepped else kept
    if foreseen.highest > peak.highest:
        hold_s, asked = peak_hold_s, round(foreseen.highest)
    else:
        asked = round(peak.highest)
    floor = rule.bounded(asked)
    if floor >= seen.replicas:
        held_up = wish < seen.replicas and expected < seen.replicas
        reason = Reason.STABILISING if held_up else Reason.NO_SCALING_NEEDED
        why = f"the last {hold_s:g} s asked for {asked}" if held_up else binding
        return held(seen, reason, metrics=metrics, calm_s=calm_s, binding=why), kept
    left = cooling(state.stepped_s, settings.cooldown_s, now_s)
    if left:
        return held(seen, Reason.COOLDOWN_ACTIVE, metrics=metrics, calm_s=calm_s, binding=left), kept
    if peak.covered_s(now_s) < hold_s:
        why = f"a hold of {hold_s:g} s, observed for {peak.covered_s(now_s):.0f} s"
        return held(seen, Reason.STABILISING, metrics=metrics, calm_s=calm_s, binding=why), kept
    target, objection = _without_harm(seen, rule, floor)
    if target >= seen.replicas:
        return held(seen, Reason.NO_SCALING_NEEDED, metrics=metrics, calm_s=calm_s, binding=objection), kept
    why = objection or f"the last {hold_s:g} s asked for {floor}"
    decision = decided(seen, rule, target, Reason.SUSTAINED_LOW_USAGE, metrics=metrics, calm_s=calm_s, binding=why)
    return decision, msgspec.structs.replace(kept, stepped_s=now_s, calm=Calm())


def hold(seen: Observation, rule: Rule) -> float:
    """Seconds that a wish is kept: what replay chose, else the setting, else by the cold start."""
    if rule.tuning.hold_s is not None:
        return rule.tuning.hold_s
    return default_hold_s(rule, seen.cold_start_s)


def default_hold_s(rule: Rule, cold_start_s: float) -> float:
    """Before replay chose one."""
    if rule.settings.predictive.hold_s is not None:
        return rule.settings.predictive.hold_s
    return max(LEAST_HOLD_S, HOLD_PER_COLD_START * cold_start_s)


def utilisation(rule: Rule) -> float:
    """The share of the slots that is to be filled."""
    return rule.tuning.utilisation or rule.settings.predictive.utilisation


def _reactive(seen: Observation, rule: Rule, load: float, baseline: Smoothed) -> dict[str, int]:
    """Replicas that each term asks for, forecast left aside."""
    settings, in_flight = rule.settings.predictive, seen.in_flight or 0.0
    capacity = seen.capacity if seen.capacity is not None and seen.capacity.learnt else None
    slots = capacity.slots if capacity else rule.settings.slots
    wishes = {"in_flight": _ceil(load / (slots * utilisation(rule)))}
    if capacity is None:
        wishes["backlog"] = _ceil(in_flight / slots)
    else:
        late = 1 - rule.slo.share
        wishes["slo"] = replicas_for_slo(load, capacity, slack_s(rule, capacity), late, rule.max_instances)
        rate = 0.0 if seen.arrivals is None or seen.window_s <= 0 else seen.arrivals / seen.window_s
        served = 1 + settings.backlog_s / capacity.service_time_s
        wishes["backlog"] = _ceil((in_flight + rate * settings.backlog_s) / (slots * served))
        if _is_burst(seen, baseline, settings.burst_sigma):
            wishes["burst"] = _ceil(rate * capacity.service_time_s / (slots * utilisation(rule)))
    if seen.overload_errors is not None and seen.overload_errors > settings.overload_share:
        wishes["overload_errors"] = seen.replicas + (seen.ready == seen.replicas)
    return wishes


def _expected(seen: Observation, rule: Rule) -> int:
    forecast = seen.forecast
    if forecast is None or not forecast.trusted or forecast.peak_replicas is None:
        return 0
    capacity = seen.capacity if seen.capacity is not None and seen.capacity.learnt else None
    if capacity is None:
        return _ceil(forecast.peak_replicas / utilisation(rule))
    late = 1 - rule.slo.share if rule.tuning.peak_late is None else rule.tuning.peak_late
    spread = forecast.spread or ((1.0, forecast.peak_replicas),)
    loads = [(chance, min(peak, MOST) * capacity.slots) for chance, peak in spread]
    return replicas_for_spread(loads, capacity, slack_s(rule, capacity), [late], rule.max_instances)[0]


def _with_tuning_that_fits(seen: Observation, rule: Rule) -> Rule:
    """A short hold and full slots are chosen for a fleet that a forecast watches over: without it the settings hold."""
    uses_forecast = rule.tuning.peak_late is not None and rule.tuning.peak_late < 1
    if uses_forecast and (seen.forecast is None or not seen.forecast.trusted):
        return replace(rule, tuning=Tuning(peak_hold_s=rule.tuning.peak_hold_s))
    return rule


def _is_burst(seen: Observation, baseline: Smoothed, sigma: float) -> bool:
    """Whether more arrived in the window than chance explains: Poisson's deviation is the root of its mean."""
    if seen.arrivals is None or baseline.value is None:
        return False
    usual = baseline.value * seen.window_s
    return seen.arrivals - usual > sigma * math.sqrt(max(usual, 1.0))


def _baseline(seen: Observation, baseline: Smoothed, now_s: float, rule: Rule) -> Smoothed:
    if seen.arrivals is None or seen.window_s <= 0:
        return baseline
    return baseline.next(seen.arrivals / seen.window_s, now_s, rule.settings.predictive.burst_baseline_s)


def slack_s(rule: Rule, capacity: Capacity) -> float:
    """How long a request may wait. A promise below the service's own time cannot be kept by replicas: twice it then."""
    if rule.slo.latency_ms is None or rule.slo.latency_ms / 1000 <= capacity.service_time_s:
        return capacity.service_time_s
    return rule.slo.latency_ms / 1000 - capacity.service_time_s


def _without_harm(seen: Observation, rule: Rule, floor: int) -> tuple[int, str]:
    """The fewest replicas from `floor` on that what else is known does not object to, and the objection."""
    settings = rule.settings.predictive
    if not seen.complete:
        return seen.replicas, f"{seen.ready - seen.known_of} ready replicas do not report"
    if seen.memory is not None and seen.memory > settings.memory_limit:
        return seen.replicas, f"memory {seen.memory:.2f} > {settings.memory_limit:g}"
    if seen.cpu is None:
        return floor, ""
    capacity = seen.capacity if seen.capacity is not None and seen.capacity.learnt else Capacity(1.0)
    work = seen.cpu * effective(max(1, seen.ready), capacity)
    for replicas in range(floor, seen.replicas):
        if work <= settings.cpu_limit * effective(replicas, capacity):
            return replicas, "" if replicas == floor else f"cpu would be above {settings.cpu_limit:g} with fewer"
    return seen.replicas, f"cpu would be above {settings.cpu_limit:g} with fewer"


def _ceil(replicas: float) -> int:
    return whole(min(replicas, MOST))


PREDICTIVE = Policy("predictive", PredictiveState(), decide, lambda rule: rule.settings.predictive.interval_s)
