"""Limits of a decision before its execution: the operator, failing starts, learnt limits, the host. Pure.

`restrained` refuses only growth. The fleet never grows past the capacity of the platform.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from argosy.contracts.scaling import Action, Decision, Reason
from argosy.control.observation import Observation
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.override import Override

SPARE_MEMORY_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Host:
    """Capacity of the platform, its use, and the needs of one more replica of the service."""

    cores: float
    cores_used: float
    memory_bytes: int
    memory_used_bytes: int
    replica_cores: float = 0.0
    replica_memory_bytes: int = 0

    def room(self) -> int:
        """Return how many more replicas of the service fit."""
        by_memory = by_cores = math.inf
        if self.replica_memory_bytes > 0:
            free_bytes = self.memory_bytes * (1 - SPARE_MEMORY_SHARE) - self.memory_used_bytes
            by_memory = free_bytes // self.replica_memory_bytes
        if self.replica_cores > 0:
            by_cores = (self.cores - self.cores_used) // self.replica_cores
        return max(0, int(min(by_memory, by_cores, 10**6)))

    def full(self) -> str:
        """Return which resource is short, and what to do."""
        gib = 2**30
        return (
            f"{self.cores_used:.1f} of {self.cores:g} cores and {self.memory_used_bytes / gib:.1f} of "
            f"{self.memory_bytes / gib:.1f} GiB are used or reserved, and one more replica takes "
            f"{self.replica_cores:.1f} cores and {self.replica_memory_bytes / gib:.2f} GiB: use a larger host or a "
            "cluster, or free some of this one"
        )


def overridden(decision: Decision, seen: Observation, override: Override, rule: Rule) -> Decision:
    """Return the decision for the operator's number instead of the policy's, clamped to the present bounds."""
    target = rule.bounded(override.replicas)
    count = override.replicas
    why = f"{count} replica{'' if count == 1 else 's'} by hand; the policy would have {decision.target_instances}"
    why = f"{why}: {decision.binding}" if decision.binding else why
    if target != override.replicas:
        why = f"{why}; the bounds are {rule.min_instances} to {rule.max_instances}"
    return _changed(decision, towards(seen.replicas, target), target, Reason.MANUAL_OVERRIDE, why)


def towards(replicas: int, target: int) -> Action:
    if target == replicas:
        return Action.NONE
    return Action.SCALE_UP if target > replicas else Action.SCALE_DOWN


def limited(decision: Decision, seen: Observation, ceiling: int | None, least: int) -> Decision:
    """Limit the decision to the number above which more replicas did not help lately."""
    if ceiling is None or decision.target_instances <= max(ceiling, least) or decision.action is Action.SCALE_DOWN:
        return decision
    if decision.reason is Reason.METRICS_MISSING:
        return decision
    target = max(ceiling, least)
    why = f"more than {target} replicas gave no more throughput"
    if seen.replicas > target:
        return _changed(decision, Action.SCALE_DOWN, target, Reason.STEP_DID_NOT_HELP, why)
    if seen.replicas == target:
        return _changed(decision, Action.NONE, target, Reason.STEP_DID_NOT_HELP, why)
    return msgspec.structs.replace(decision, target_instances=target, binding=f"{decision.binding}; {why}")


def restrained(decision: Decision, seen: Observation, failing: str, host: Host) -> Decision:
    """Stop growth while earlier replicas fail to start, and limit it to the room on the host.

    Args:
        failing: why desired replicas do not run; empty when all run.
    """
    if decision.action is not Action.SCALE_UP:
        return decision
    if failing:
        return _changed(decision, Action.NONE, seen.replicas, Reason.START_FAILING, failing)
    room = host.room()
    if decision.target_instances - seen.replicas <= room:
        return decision
    if room == 0:
        return _changed(decision, Action.NONE, seen.replicas, Reason.HOST_FULL, host.full())
    return msgspec.structs.replace(
        decision,
        target_instances=seen.replicas + room,
        binding=f"{decision.binding}; host_full: {host.full()}",
    )


def _changed(decision: Decision, action: Action, target: int, reason: Reason, binding: str) -> Decision:
    return msgspec.structs.replace(decision, action=action, target_instances=target, reason=reason, binding=binding)
