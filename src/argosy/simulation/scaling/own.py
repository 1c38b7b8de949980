"""Argosy's policies, run by the same functions that decide in the controller, on what the controller would observe."""

from __future__ import annotations

from typing import Any

from argosy.config.scaling import (
    ScalingSettings,
    SloSettings,
    TargetSettings,
    ThresholdSettings,
    UpThresholds,
)
from argosy.control.observation import LEARNT_SAMPLES, Capacity, Observation
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.policies.table import POLICIES
from argosy.simulation.scaling.autoscaler import Foresight, World
from argosy.simulation.scaling.readings import Readings

PROBED_S = 2
"""Interval at which the controller probes its replicas."""
CPU_WINDOW_S = 15
MEMORY = 0.35
"""Constant share of memory, which simulated work does not use.

It is always below limits for scaling up, and never above limits that stop scaling down.
"""
RESPONSE_S = 30
CAPACITY_TICK_S = 15
"""Interval between samples of the capacity model."""


class Own:
    """Adapter of `policies/NAME.decide`, called at the interval of its settings."""

    def __init__(self, world: World, rule: Rule) -> None:
        self._policy = POLICIES[rule.settings.policy]
        self._state: Any = self._policy.first
        self._rule = rule
        self._world = world
        self._foresight: Foresight | None = world.predictor() if world.predictor and _uses_forecast(rule) else None
        self._capacity: Capacity | None = None
        self.interval_s = max(1, round(self._policy.interval_s(rule)))

    def wanted(self, seen: Readings) -> int:
        observation = self._observation(seen)
        decision, self._state = self._policy.decide(observation, self._state, self._rule, float(seen.now))
        return decision.target_instances

    def _observation(self, seen: Readings) -> Observation:
        if self._capacity is None and seen.now >= CAPACITY_TICK_S * LEARNT_SAMPLES:
            service = self._world.service
            self._capacity = Capacity(service.mean_s, float(service.slots), service.cv2)
        return Observation(
            replicas=seen.replicas,
            ready=seen.ready,
            in_flight=max(0.0, seen.in_flight),
            queued=max(0.0, seen.waiting),
            arrivals=seen.arrivals(PROBED_S),
            window_s=float(PROBED_S),
            response_time_s=seen.mean_response_s(RESPONSE_S) or 0.0,
            cpu=seen.busy_share(CPU_WINDOW_S),
            memory=MEMORY,
            errors=0.0,
            overload_errors=0.0,
            cold_start_s=float(self._world.cold_start_s),
            capacity=self._capacity,
            forecast=self._foresight.forecast(seen) if self._foresight is not None else None,
        )


def _uses_forecast(rule: Rule) -> bool:
    return rule.settings.policy == "predictive"


def predictive(world: World, late: float) -> Own:
    """Sweep the share that may be late, 1 − slo.share. All other settings keep their defaults."""
    slo_s = world.service.slo_s
    slo = SloSettings(latency_ms=None if slo_s is None else slo_s * 1000, share=1 - late)
    return Own(world, _rule(world, ScalingSettings(policy="predictive", slots=float(world.service.slots)), slo))


def target(world: World, in_flight: float) -> Own:
    settings = TargetSettings(metrics={"in_flight": in_flight})
    return Own(world, _rule(world, ScalingSettings(policy="target", slots=float(world.service.slots), target=settings)))


def threshold(world: World, cpu: float) -> Own:
    """Sweep the CPU share above which the fleet scales up. The other limits keep their defaults."""
    settings = ThresholdSettings(up=UpThresholds(cpu=cpu))
    return Own(world, _rule(world, ScalingSettings(policy="threshold", threshold=settings)))


def _rule(world: World, settings: ScalingSettings, slo: SloSettings | None = None) -> Rule:
    return Rule(world.min_replicas, world.max_replicas, settings, slo or SloSettings())
