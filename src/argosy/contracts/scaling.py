"""Decisions on how many replicas run: what was seen, which rule bound, what was done."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

Number = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
"""Of replicas."""


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
    """Less would do, but not for long enough yet."""
    METRICS_MISSING = "metrics_missing"
    """Nothing is decided on what did not arrive, is stale, or cannot be."""
    FORECAST = "forecast"
    """Load that is expected within the time a start takes."""
    AT_MAXIMUM = "at_maximum"
    OUT_OF_BOUNDS = "out_of_bounds"
    """More or fewer than the bounds allow were running."""
    HOST_FULL = "host_full"
    STEP_DID_NOT_HELP = "step_did_not_help"
    """More replicas gave no more throughput: the step was undone and is remembered."""
    START_FAILING = "start_failing"
    """What was wanted before does not start; no more is asked for."""
    MANUAL_OVERRIDE = "manual_override"
    POLICY_FAILED = "policy_failed"


class Decision(msgspec.Struct, frozen=True):
    """`target_instances` is what is to run from now on; with action `none`, what runs (or starts) already.

    `metrics` holds what the rule looked at, None for what it did not know; `binding` the constraint that decided, in
    a few words.
    """

    action: Action
    target_instances: int
    reason: Reason
    metrics: dict[str, float | None] = {}
    stability_duration_s: float = 0.0
    """How long the service has been as calm as scaling down asks for."""
    binding: str = ""


class DecisionRecord(msgspec.Struct):
    """A decision and when it was made. One that says the same as the one before it only counts up."""

    at: float
    """Wall time of the first."""
    decision: Decision
    repeated: int = 0
    performed: bool = False
    """False where nothing was to be done, in shadow mode, and where it failed."""
    last_at: float | None = None
    """Wall time of the last one that said the same; `decision` is that one."""


class OverrideView(msgspec.Struct):
    replicas: int
    expires_s: float | None
    """Seconds left; None for until it is taken back."""


class ScalingView(msgspec.Struct):
    """How one service is scaled. `thresholds` are those of the policy in force."""

    service: str
    policy: str
    shadow: bool
    min_instances: int
    max_instances: int
    current_instances: int
    """Asked for: they run, or are starting."""
    ready_instances: int
    cooldown: float
    """Seconds after a step."""
    thresholds: dict[str, object]
    fixed: str
    """Why this service is never scaled; empty where it is."""
    override: OverrideView | None
    recommendation: str
    """What the operator can do where a limit holds the service back, or where a fixed number would have cost less."""
    decisions: list[DecisionRecord]
    """The latest first."""


class ScaleOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /v1/services/{name}/scale`. Without `replicas` the policy decides again."""

    replicas: Number | None = None
    expires_s: float | None = None


class ScalingChange(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `PUT /v1/services/{name}/scaling`: what is given changes, the rest stays.

    `thresholds` are settings of the policy in force, by the names in [services.NAME.scaling.POLICY].
    """

    policy: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    shadow: bool | None = None
    min_instances: Number | None = None
    max_instances: Number | None = None
    current_instances: Number | None = None
    cooldown: float | None = None
    thresholds: Annotated[dict[str, object], msgspec.Meta(max_length=100)] | None = None
