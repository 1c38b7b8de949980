"""Settings of scaling: [services.NAME.scaling] and [services.NAME.slo]."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from argosy.config.base import Settings


class UpThresholds(Settings):
    """Limits for scaling up: one replica is added when ANY limit is exceeded."""

    cpu: float = Field(0.70, gt=0, le=10, description="Share of the cores that a replica can use.")
    memory: float = Field(0.80, gt=0, le=1, description="Share of the memory that a replica may use.")
    response_s: float = Field(2.0, gt=0, le=3600, description="Mean response time.")
    queued: float = Field(100, ge=0, description="Requests that wait, of all replicas.")
    errors: float = Field(0.05, ge=0, le=1, description="Share of requests that failed.")


class DownThresholds(Settings):
    """Limits for scaling down: one replica is removed when ALL metrics stay below for `stability_s`."""

    cpu: float = Field(0.30, ge=0, le=10, description="Share of the cores that a replica can use.")
    memory: float = Field(0.40, ge=0, le=1, description="Share of the memory that a replica may use.")
    response_s: float = Field(0.5, ge=0, le=3600, description="Mean response time.")
    queued: float = Field(10, ge=0, description="Requests that wait, of all replicas.")


class ThresholdSettings(Settings):
    """Settings of policy `threshold`: fixed limits."""

    up: UpThresholds = Field(
        default_factory=UpThresholds, description="Limits above ANY of which one replica is added."
    )
    down: DownThresholds = Field(
        default_factory=DownThresholds, description="Limits below ALL of which one replica is removed."
    )
    stability_s: float = Field(
        300, ge=0, le=86_400, description="Time for which all metrics must stay below before a step down."
    )
    cooldown_s: float = Field(300, ge=0, le=86_400, description="Time after a step in which no other is made.")
    interval_s: float = Field(30, gt=0, le=3600, description="Time between two decisions.")

    @model_validator(mode="after")
    def _down_below_up(self) -> Self:
        for name in DownThresholds.model_fields:
            low, high = getattr(self.down, name), getattr(self.up, name)
            if low >= high:
                raise ValueError(
                    f"down.{name} = {low:g} is not below up.{name} = {high:g}, so replicas would be added and "
                    f"removed for ever; lower down.{name} or raise up.{name}"
                )
        return self


class TargetSettings(Settings):
    """Settings of policy `target`: keep each metric at its target; the metric that needs most replicas decides."""

    metrics: dict[str, float] = Field(
        default_factory=lambda: {"in_flight": 2.8},
        min_length=1,
        description="Metric → its target: in_flight and queued (both per replica), queue_time_s, response_time_s, cpu, "
        "memory, or a metric that the service reports itself.",
    )
    tolerance: float = Field(
        0.1, ge=0, lt=1, description="Share by which a metric may deviate from its target without a step."
    )
    down_window_s: float = Field(
        300, ge=0, le=86_400, description="Stabilisation window down: the highest recommendation in it is used."
    )
    up_window_s: float = Field(
        0, ge=0, le=86_400, description="Stabilisation window up: the lowest recommendation in it is used."
    )
    up_most_share: float = Field(
        1.0, gt=0, le=1000, description="Most growth in one period, as a share of the running replicas."
    )
    up_most_replicas: int = Field(
        4, ge=1, le=1000, description="Replicas by which growth in one period is always allowed."
    )
    up_period_s: float = Field(15, gt=0, le=3600, description="Period for the limits on growth.")
    cooldown_s: float = Field(0, ge=0, le=86_400, description="Time after a step in which no other is made.")
    interval_s: float = Field(15, gt=0, le=3600, description="Time between two decisions.")

    @model_validator(mode="after")
    def _targets_can_be_met(self) -> Self:
        for name, target in self.metrics.items():
            if not 0 < target < float("inf"):
                raise ValueError(f"metrics.{name} = {target} cannot be reached; give a number above 0")
        return self


class PredictiveSettings(Settings):
    """Settings of policy `predictive`: as many replicas as the forecast load needs to meet the SLO."""

    utilisation: float = Field(0.8, gt=0, lt=1, description="Share of a replica's slots that the load may occupy.")
    load_window_s: float | None = Field(
        None, ge=0, le=600, description="Time constant with which the load is smoothed; default 0.3 × the cold start."
    )
    hold_s: float | None = Field(
        None,
        ge=0,
        le=86_400,
        description="Time without a change before a step down. The default is the longest of 60 s, 30 cold starts up "
        "to 300 s, and 10 cold starts; while a forecast is trusted, the longer of 60 s and 5 cold starts.",
    )
    cooldown_s: float = Field(0, ge=0, le=86_400, description="Time after a step in which no step down is made.")
    interval_s: float = Field(2, gt=0, le=3600, description="Time between two decisions.")
    overload_share: float = Field(
        0.01, ge=0, le=1, description="Share of overload errors at which one replica is added."
    )
    cpu_limit: float = Field(
        0.85, gt=0, le=10, description="CPU share below which the remaining replicas must stay after a step down."
    )
    memory_limit: float = Field(0.9, gt=0, le=1, description="Memory share above which no replica is removed.")


class ScalingSettings(Settings):
    """Settings that determine the number of replicas between replicas.min and replicas.max."""

    policy: Literal["threshold", "target", "predictive"] = Field(
        "predictive", description="Policy that decides: fixed limits, target tracking, or model and forecast."
    )
    shadow: bool = Field(False, description="Record decisions without carrying them out.")
    slots: float = Field(
        4, gt=0, le=100_000, description="Requests that one replica processes at once, until this number is learnt."
    )
    cores: float | None = Field(
        None,
        gt=0,
        le=1024,
        description="Cores that one replica can use; `cpu` is a share of them. The default is 1; for documents, "
        "`parsers`; for embedding, `threads` or, if that is 0, the replica's share of the cores.",
    )
    stale_s: float = Field(15, gt=0, le=3600, description="Age above which a metric counts as missing.")
    undo: bool = Field(True, description="Undo a step up that did not raise throughput, and remember it.")
    threshold: ThresholdSettings = Field(default_factory=ThresholdSettings, description="Settings of policy threshold.")
    target: TargetSettings = Field(default_factory=TargetSettings, description="Settings of policy target.")
    predictive: PredictiveSettings = Field(
        default_factory=PredictiveSettings, description="Settings of policy predictive."
    )


class SloSettings(Settings):
    """Service level objective. Policy `predictive` chooses the number of replicas that meets it."""

    latency_ms: float | None = Field(
        None, gt=0, le=3_600_000, description="Longest time for an answer; default twice the service time."
    )
    share: float = Field(0.99, gt=0, lt=1, description="Share of answers that must arrive within this time.")
