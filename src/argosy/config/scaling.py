"""Settings of scaling: [services.NAME.scaling] and [services.NAME.slo]."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from argosy.config.settings import Settings


class UpThresholds(Settings):
    """One replica more when ANY is exceeded."""

    cpu: float = Field(0.70, gt=0, le=10, description="Share of the cores that a replica can use.")
    memory: float = Field(0.80, gt=0, le=1, description="Share of the memory that a replica may use.")
    response_s: float = Field(2.0, gt=0, le=3600, description="Mean response time.")
    queued: float = Field(100, ge=0, description="Requests that wait, of all replicas.")
    errors: float = Field(0.05, ge=0, le=1, description="Share of requests that failed.")


class DownThresholds(Settings):
    """One replica less when ALL stay below for `stability_s`."""

    cpu: float = Field(0.30, ge=0, le=10, description="Share of the cores that a replica can use.")
    memory: float = Field(0.40, ge=0, le=1, description="Share of the memory that a replica may use.")
    response_s: float = Field(0.5, ge=0, le=3600, description="Mean response time.")
    queued: float = Field(10, ge=0, description="Requests that wait, of all replicas.")


class ThresholdSettings(Settings):
    """Policy `threshold`: fixed limits."""

    up: UpThresholds = Field(default_factory=UpThresholds, description="One replica more above ANY of these.")
    down: DownThresholds = Field(default_factory=DownThresholds, description="One replica less below ALL of these.")
    stability_s: float = Field(300, ge=0, le=86_400, description="Time all must stay below before a step down.")
    cooldown_s: float = Field(300, ge=0, le=86_400, description="Time after a step in which no other is made.")
    interval_s: float = Field(30, gt=0, le=3600, description="Time between two decisions.")

    @model_validator(mode="after")
    def _down_below_up(self) -> Self:
        for name in DownThresholds.model_fields:
            low, high = getattr(self.down, name), getattr(self.up, name)
            if low >= high:
                raise ValueError(
                    f"down.{name} = {low:g} is not below up.{name} = {high:g}, so replicas would come and go for "
                    f"ever; lower down.{name} or raise up.{name}"
                )
        return self


class TargetSettings(Settings):
    """Policy `target`: as many replicas as keep each metric at its target, the most demanding one deciding."""

    metrics: dict[str, float] = Field(
        default_factory=lambda: {"in_flight": 2.8},
        min_length=1,
        description="Metric → its target. in_flight and queued are per replica; also queue_time_s, response_time_s, "
        "cpu, memory, or one that the service reports itself.",
    )
    tolerance: float = Field(0.1, ge=0, lt=1, description="Share by which a metric may miss its target.")
    down_window_s: float = Field(300, ge=0, le=86_400, description="The highest wish of this time decides going down.")
    up_window_s: float = Field(0, ge=0, le=86_400, description="The lowest wish of this time decides going up.")
    up_most_share: float = Field(1.0, gt=0, le=1000, description="Most growth in one period, as a share of what runs.")
    up_most_replicas: int = Field(4, ge=1, le=1000, description="Growth in one period that is always allowed.")
    up_period_s: float = Field(15, gt=0, le=3600, description="The period in which growth is limited.")
    cooldown_s: float = Field(0, ge=0, le=86_400, description="Time after a step in which no other is made.")
    interval_s: float = Field(15, gt=0, le=3600, description="Time between two decisions.")

    @model_validator(mode="after")
    def _targets_can_be_met(self) -> Self:
        for name, target in self.metrics.items():
            if not 0 < target < float("inf"):
                raise ValueError(f"metrics.{name} = {target} cannot be met; give a number above 0")
        return self


class PredictiveSettings(Settings):
    """Policy `predictive`: as many replicas as are likely enough to be needed."""

    utilisation: float = Field(0.8, gt=0, lt=1, description="Share of a replica's slots that the load may fill.")
    load_window_s: float | None = Field(
        None, ge=0, le=600, description="Time constant of the load that is sized for; without it 0.3 × the cold start."
    )
    hold_s: float | None = Field(
        None,
        ge=0,
        le=86_400,
        description="Time without a change before a step down; without it 60 s, 30 cold starts up to 300 s, or 10 cold "
        "starts, whichever is longest; 60 s or 5 cold starts while a forecast is trusted.",
    )
    cooldown_s: float = Field(0, ge=0, le=86_400, description="Time after a step before one down is made.")
    interval_s: float = Field(2, gt=0, le=3600, description="Time between two decisions.")
    overload_share: float = Field(0.01, ge=0, le=1, description="Share of overload errors that asks for one more.")
    cpu_limit: float = Field(
        0.85, gt=0, le=10, description="CPU share that the rest must stay under after a step down."
    )
    memory_limit: float = Field(0.9, gt=0, le=1, description="Memory share above which nothing is taken away.")


class ScalingSettings(Settings):
    """How the number of replicas between replicas.min and replicas.max is found."""

    policy: Literal["threshold", "target", "predictive"] = Field(
        "predictive", description="Which rule decides: fixed limits, target tracking, or model and forecast."
    )
    shadow: bool = Field(False, description="Decide and record, but change nothing.")
    slots: float = Field(
        4, gt=0, le=100_000, description="Requests one replica works on at once, until that is learnt."
    )
    cores: float | None = Field(
        None,
        gt=0,
        le=1024,
        description="Cores that one replica can use: its `cpu` is a share of them. Without it one; of documents its "
        "`parsers`, of embedding its `threads` or, at 0, its share of the cores.",
    )
    stale_s: float = Field(15, gt=0, le=3600, description="Age above which a metric counts as missing.")
    undo: bool = Field(True, description="Take back a step up that raised no throughput, and remember it.")
    threshold: ThresholdSettings = Field(default_factory=ThresholdSettings, description="Of policy threshold.")
    target: TargetSettings = Field(default_factory=TargetSettings, description="Of policy target.")
    predictive: PredictiveSettings = Field(default_factory=PredictiveSettings, description="Of policy predictive.")


class SloSettings(Settings):
    """What a service promises; policy `predictive` sizes it for that."""

    latency_ms: float | None = Field(
        None, gt=0, le=3_600_000, description="Answers within this time; without it twice the service's own time."
    )
    share: float = Field(0.99, gt=0, lt=1, description="Share of the answers that must keep it.")
