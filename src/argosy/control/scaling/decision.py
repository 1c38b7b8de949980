"""Construction of policy decisions within bounds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from argosy.config.scaling import ScalingSettings, SloSettings
from argosy.contracts.scaling import Action, Decision, Reason
from argosy.control.observation import Observation


@dataclass(frozen=True, slots=True)
class Rule:
    """Settings of a service's scaling: everything that is not observed."""

    min_instances: int = 1
    max_instances: int = 10
    settings: ScalingSettings = field(default_factory=ScalingSettings)
    slo: SloSettings = field(default_factory=SloSettings)
    look_s: float = 2.0
    """Time between two looks. No policy decides more often, whatever its own interval is."""

    def bounded(self, replicas: int) -> int:
        return max(self.min_instances, min(self.max_instances, replicas))


def decided(
    seen: Observation,
    rule: Rule,
    wanted: int,
    reason: Reason,
    *,
    metrics: Mapping[str, float | None] | None = None,
    calm_s: float = 0.0,
    binding: str = "",
) -> Decision:
    """Return a decision for `wanted` replicas, clamped to the bounds."""
    target = rule.bounded(wanted)
    if target == seen.replicas:
        action = Action.NONE
        if wanted > target:
            reason, binding = Reason.AT_MAXIMUM, f"max_instances = {rule.max_instances}; {binding} asks for {wanted}"
        elif wanted != seen.replicas or reason in (Reason.HIGH_LOAD_DETECTED, Reason.SUSTAINED_LOW_USAGE):
            reason, binding = Reason.NO_SCALING_NEEDED, f"min_instances = {rule.min_instances}"
    else:
        action = Action.SCALE_UP if target > seen.replicas else Action.SCALE_DOWN
    return Decision(action, target, reason, dict(metrics or {}), calm_s, binding)


def held(
    seen: Observation,
    reason: Reason,
    *,
    metrics: Mapping[str, float | None] | None = None,
    calm_s: float = 0.0,
    binding: str = "",
) -> Decision:
    """Return a decision that changes nothing, whatever the bounds are."""
    return Decision(Action.NONE, seen.replicas, reason, dict(metrics or {}), calm_s, binding)


def out_of_bounds(seen: Observation, rule: Rule) -> Decision | None:
    """Return a decision that brings the count back within its bounds after they changed; None when it is within them.

    This decision needs no metrics.
    """
    if rule.min_instances <= seen.replicas <= rule.max_instances:
        return None
    bound = "min" if seen.replicas < rule.min_instances else "max"
    limit = rule.bounded(seen.replicas)
    return decided(seen, rule, limit, Reason.OUT_OF_BOUNDS, binding=f"{bound}_instances = {limit}")


def recommendation(decision: Decision) -> str:
    """Return what the operator can do about the decision; empty when nothing is needed."""
    if decision.reason is Reason.HOST_FULL or "host_full" in decision.binding:
        return decision.binding
    if decision.reason is Reason.AT_MAXIMUM:
        return f"Raise replicas.max: {decision.binding}."
    if decision.reason is Reason.START_FAILING:
        return f"Correct what keeps replicas from starting: {decision.binding}"
    if decision.reason is Reason.STEP_DID_NOT_HELP:
        return f"Find the bottleneck that the replicas share: {decision.binding}."
    return ""
