"""Scaling decisions: the metrics seen, the rule that decided, and the action."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

Number = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
"""Number of replicas."""


class Action(enum.StrEnum):
    NONE = "none"
    SCALE_UP = "scale_up"
    SCALE_DOWN = "scale_down"


class Reason(enum.StrEnum):
    HIGH_LOAD_DETECTED = "high_load_detected"
    SUSTAINED_LOW_USAGE = "sustained_low_usage"
    NO_SCALING_NEEDED = "no_scaling_needed"
    COOLDOWN_ACTIVE = "cooldown_active"
    STABILISING = "stabilising"
    """Fewer replicas would suffice, but not for the whole stabilisation window yet."""
    METRICS_MISSING = "metrics_missing"
    """Metrics are missing, stale or impossible, so nothing is decided."""
    FORECAST = "forecast"
    """More load is expected within the time that a start takes."""
    AT_MAXIMUM = "at_maximum"
    OUT_OF_BOUNDS = "out_of_bounds"
    """More or fewer replicas were running than the bounds allow."""
    HOST_FULL = "host_full"
    STEP_DID_NOT_HELP = "step_did_not_help"
    """More replicas did not give more throughput: the step was undone and is remembered."""
    START_FAILING = "start_failing"
    """Replicas requested earlier do not start, so no more are requested."""
    MANUAL_OVERRIDE = "manual_override"
    POLICY_FAILED = "policy_failed"


class Decision(msgspec.Struct, frozen=True):
    """Decision on the number of replicas of one service.

    `target_instances` is the desired number; with action `none`, it is the number that runs or starts already.
    `metrics` holds the metrics that the rule used, None for unknown ones; `binding` names the constraint that decided.
    """

    action: Action
    target_instances: int
    reason: Reason
    metrics: dict[str, float | None] = {}
    stability_duration_s: float = 0.0
    """Time for which the load has been low enough to scale down."""
    binding: str = ""


class DecisionRecord(msgspec.Struct):
    """Decision and its time. A decision equal to the previous one only raises `repeated`."""

    at: float
    """Wall time of the first of the equal decisions."""
    decision: Decision
    repeated: int = 0
    performed: bool = False
    """Whether the action was performed: false when there was none, in shadow mode, and when it failed."""
    last_at: float | None = None
    """Wall time of the latest of the equal decisions, which is `decision`."""


class OverrideView(msgspec.Struct):
    replicas: int
    expires_s: float | None
    """Seconds until the override expires; None when it lasts until it is removed."""


class ScalingView(msgspec.Struct):
    """Scaling of one service. `thresholds` are the settings of the policy in force."""

    service: str
    policy: str
    shadow: bool
    min_instances: int
    max_instances: int
    current_instances: int
    """Number of replicas requested: they run or are starting."""
    ready_instances: int
    cooldown: float
    """Seconds after a step during which no other step is made."""
    thresholds: dict[str, object]
    fixed: str
    """Reason why this service is never scaled; empty when it can be."""
    override: OverrideView | None
    recommendation: str
    """Advice to the operator when a limit holds the service back or a fixed number would have cost less; else empty."""
    decisions: list[DecisionRecord]
    """Decisions, latest first."""


class ScaleOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /v1/services/{name}/scale`. Without `replicas`, the policy decides again."""

    replicas: Number | None = None
    expires_s: float | None = None


class ScalingChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /v1/services/{name}/scaling`: the given settings change, all others stay.

    `thresholds` are settings of the policy in force, by the names in [services.NAME.scaling.POLICY].
    """

    policy: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    shadow: bool | None = None
    min_instances: Number | None = None
    max_instances: Number | None = None
    current_instances: Number | None = None
    cooldown: float | None = None
    thresholds: Annotated[dict[str, object], msgspec.Meta(max_length=100)] | None = None
