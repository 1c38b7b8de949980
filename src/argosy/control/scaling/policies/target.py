"""Target tracking as in Kubernetes' HorizontalPodAutoscaler v2, on any metric.

desired = ⌈replicas × metric ÷ target⌉ for each metric; the highest decides. Within the tolerance nothing changes.
Scaling up: at most max(+100 %, +4) in 15 s, without a window. Scaling down: to the highest wish of the last 300 s.
Replicas that do not report count as idle when the wish is up and as at their target when it is down, so that a gap
never enlarges a step. When a metric is missing for all replicas, the other metrics can ask for more replicas but not
for fewer.
"""

from __future__ import annotations

import msgspec

from argosy.config.scaling import TargetSettings
from argosy.contracts.scaling import Action, Decision, Reason
from argosy.control.observation import Observation
from argosy.control.scaling.decision import Rule, decided, held
from argosy.control.scaling.policies.policy import Policy, cooling, gap_s, missing, whole
from argosy.control.scaling.stabilisation import Calm, Peak, shifted


class TargetState(msgspec.Struct, frozen=True):
    stepped_s: float | None = None
    grown: tuple[tuple[float, int], ...] = ()
    """Pairs of time and added replicas within the last period."""
    highest: Peak = Peak()
    lowest: Peak = Peak()
    """Negated wishes."""
    calm: Calm = Calm()

    def moved(self, by_s: float) -> TargetState:
        return TargetState(
            shifted(self.stepped_s, by_s),
            tuple((at_s + by_s, count) for at_s, count in self.grown),
            self.highest.moved(by_s),
            self.lowest.moved(by_s),
            self.calm.moved(by_s),
        )


def within_bounds(seen: Observation, state: TargetState, rule: Rule, now_s: float) -> tuple[Decision, TargetState]:
    settings = rule.settings.target
    values = {name: seen.metric(name) for name in settings.metrics}
    absent = missing(seen, rule, tuple(settings.metrics))
    wishes = {} if seen.age_s > rule.settings.stale_s else _wishes(seen, settings)
    if not wishes or (absent and max(wishes.values()) <= seen.replicas):
        return held(seen, Reason.METRICS_MISSING, metrics=values, binding=absent), state
    binding = max(wishes, key=wishes.__getitem__)
    wish, longest_s = wishes[binding], gap_s(rule, settings.interval_s)
    highest = state.highest if state.highest.points else Peak(((now_s, float(seen.replicas)),), now_s, now_s)
    highest = highest.next(wish, now_s, settings.down_window_s, longest_s)
    lowest = state.lowest.next(-wish, now_s, settings.up_window_s, longest_s)
    calm = state.calm.next(wish < seen.replicas, now_s, longest_s)
    grown = tuple((at_s, count) for at_s, count in state.grown if now_s - at_s < settings.up_period_s)
    kept = TargetState(state.stepped_s, grown, highest, lowest, calm)
    calm_s = calm.duration_s(now_s)
    least, most = round(-lowest.highest), round(highest.highest)
    stabilised = min(max(seen.replicas, least), most)
    if stabilised > seen.replicas:
        stabilised = min(stabilised, _growth_limit(seen.replicas, grown, settings))
    left = cooling(state.stepped_s, settings.cooldown_s, now_s)
    if stabilised != seen.replicas and left:
        return held(seen, Reason.COOLDOWN_ACTIVE, metrics=values, calm_s=calm_s, binding=left), kept
    if stabilised == seen.replicas and wish != seen.replicas and wish <= rule.max_instances:
        why = f"{binding} asks for {wish}, the last {settings.down_window_s:g} s for {most}"
        return held(seen, Reason.STABILISING, metrics=values, calm_s=calm_s, binding=why), kept
    reason = Reason.NO_SCALING_NEEDED
    if stabilised != seen.replicas:
        reason = Reason.HIGH_LOAD_DETECTED if stabilised > seen.replicas else Reason.SUSTAINED_LOW_USAGE
    why = f"{binding} = {settings.metrics[binding]:g}"
    wanted = max(stabilised, wish) if stabilised >= rule.max_instances else stabilised
    return decided(seen, rule, wanted, reason, metrics=values, calm_s=calm_s, binding=why), kept


def stepped(state: TargetState, before: int, decision: Decision, now_s: float) -> TargetState:
    grown = state.grown
    if decision.action is Action.SCALE_UP and decision.reason is not Reason.OUT_OF_BOUNDS:
        grown = (*grown, (now_s, decision.target_instances - before))
    return msgspec.structs.replace(state, stepped_s=now_s, grown=grown, calm=Calm())


def _wishes(seen: Observation, settings: TargetSettings) -> dict[str, int]:
    """Return the replicas that each known metric asks for."""
    wishes = {}
    for name, target in settings.metrics.items():
        value = seen.metric(name)
        if value is not None and seen.known_of:
            wishes[name] = _wish(seen, value, target, settings.tolerance)
    return wishes


def _wish(seen: Observation, value: float, target: float, tolerance: float) -> int:
    known, ratio = seen.known_of, value / target
    if abs(ratio - 1) <= tolerance:
        return seen.replicas
    # Starting replicas have no load yet; the load of silent replicas is not known.
    total = known * ratio + (0 if ratio > 1 else seen.ready - known)
    again = total / seen.replicas if seen.replicas else ratio
    if abs(again - 1) <= tolerance or (again > 1) != (ratio > 1):
        return seen.replicas
    return whole(min(total, 1e9))


def _growth_limit(replicas: int, grown: tuple[tuple[float, int], ...], settings: TargetSettings) -> int:
    before = replicas - sum(count for _, count in grown)
    share = whole(before * (1 + settings.up_most_share))
    return max(replicas, share, before + settings.up_most_replicas)


TARGET = Policy("target", TargetState(), within_bounds, stepped, lambda rule: rule.settings.target.interval_s)
