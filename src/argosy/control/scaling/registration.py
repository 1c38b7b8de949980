"""Registration of one scaled service: its rule, its policy's state and its latest decisions, saved and restored."""

from __future__ import annotations

import collections
import hashlib
import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from pydantic import ValidationError

from argosy.config.scaling import ScalingSettings
from argosy.config.service import CustomSettings, ServiceSettings
from argosy.contracts.errors import Conflict, InvalidRequest
from argosy.contracts.scaling import Decision, DecisionRecord, OverrideView, Reason, ScalingChange, ScalingView
from argosy.contracts.strict_json import printable
from argosy.control.scaling.decision import Rule, recommendation
from argosy.control.scaling.override import Override
from argosy.control.scaling.policies.policy import Policy, State, gap_s
from argosy.control.scaling.policies.table import POLICIES
from argosy.control.scaling.scale_up_effect import Payoff
from argosy.serving.refusal import rule_of

KEPT_DECISIONS, WRITTEN_DECISIONS = 200, 20
MOST_REPLICAS = 256
LONGEST_AGE_S = 86_400.0
MAX_THRESHOLDS_BYTES = 4096
"""Limit of the JSON size of the settings that one order changes."""
BEGINS_AFTER_S = 300.0


class SavedRegistration(msgspec.Struct, rename={"settings_hash": "file"}):
    """Saved state of a registration while no controller runs. `now_s` is the monotonic time of writing."""

    now_s: float
    policy: str
    """Policy that the state belongs to."""
    state: msgspec.Raw
    desired: int
    min_instances: int
    max_instances: int
    settings: msgspec.Raw
    override: Override | None
    payoff: Payoff
    settings_hash: str = ""
    """Hash of the fleet-file settings, saved as `file`. When the fleet file has changed, the file takes precedence."""
    decisions: list[DecisionRecord] = []


@dataclass(slots=True)
class Registration:
    service: str
    rule: Rule
    fixed: str
    """Reason why the service is never scaled; empty when it is scaled."""
    state: State
    settings_hash: str
    """Hash of the fleet-file settings; changes when they change."""
    due_s: float = 0.0
    override: Override | None = None
    payoff: Payoff = field(default_factory=Payoff)
    last_s: dict[Reason, float] = field(default_factory=dict)
    """Time at which a decision last had each reason."""
    decisions: collections.deque[DecisionRecord] = field(
        default_factory=lambda: collections.deque(maxlen=KEPT_DECISIONS)
    )

    @classmethod
    def of(cls, service: str, settings: ServiceSettings, look_s: float = 2.0) -> Registration:
        fixed = ""
        if settings.single_writer:
            fixed = f"{service} has one writer and so one replica"
        elif isinstance(settings, CustomSettings) and settings.external is not None:
            fixed = f"{service} runs elsewhere; scale it there"
        rule = Rule(settings.replicas.min, settings.replicas.max, settings.scaling, settings.slo, look_s)
        said = f"{rule.min_instances} {rule.max_instances} {rule.settings.model_dump_json(exclude_unset=True)}"
        settings_hash = hashlib.sha256(said.encode()).hexdigest()
        return cls(service, rule, fixed, POLICIES[settings.scaling.policy].first, settings_hash)

    @property
    def policy(self) -> Policy[Any]:
        return POLICIES[self.rule.settings.policy]

    def begins(self, reason: Reason, now_s: float) -> bool:
        """Return whether no decision of the last BEGINS_AFTER_S had this reason, because some reasons come and go."""
        since_s, interval_s = now_s - self.last_s.get(reason, -math.inf), self.policy.interval_s(self.rule)
        self.last_s[reason] = now_s
        return since_s > max(BEGINS_AFTER_S, gap_s(self.rule, interval_s))

    def record(self, at: float, decision: Decision, performed: bool) -> bool:
        """Record a decision; only the newest KEPT_DECISIONS are kept.

        A decision that repeats the last one, with nothing done, only increases its count.

        Returns: whether the decision is a new one.
        """
        last = self.decisions[0] if self.decisions else None
        if last is not None and not performed and not last.performed and _same(last.decision, decision):
            last.decision, last.repeated, last.last_at = decision, last.repeated + 1, at
            return False
        self.decisions.appendleft(DecisionRecord(at, decision, performed=performed))
        return True

    def change(self, change: ScalingChange) -> None:
        """Apply the given values, all or none.

        Raises: InvalidRequest when a value is wrong; Conflict when the service is never scaled.
        """
        if self.fixed:
            raise Conflict(f"{self.fixed}.")
        rule = self.rule
        least = rule.min_instances if change.min_instances is None else change.min_instances
        most = rule.max_instances if change.max_instances is None else change.max_instances
        if not 1 <= least <= most <= MOST_REPLICAS:
            raise InvalidRequest(
                f"min_instances = {least} and max_instances = {most} are not valid bounds: give "
                f"1 ≤ min_instances ≤ max_instances ≤ {MOST_REPLICAS}.",
                param="min_instances" if change.max_instances is None else "max_instances",
            )
        current = change.current_instances
        if current is not None and not least <= current <= most:
            raise InvalidRequest(
                f"current_instances = {current} is not within {least} to {most}; correct it.", param="current_instances"
            )
        settings = _merged(rule.settings, change)
        if settings.policy != rule.settings.policy:
            self.state = POLICIES[settings.policy].first
        self.rule = replace(rule, min_instances=least, max_instances=most, settings=settings)
        self.due_s = 0.0

    def view(self, current: int, ready: int, now_s: float) -> ScalingView:
        """Return the registration as the admin API shows it, with the desired and the ready replicas."""
        own = getattr(self.rule.settings, self.rule.settings.policy).model_dump()
        override, last = self.override, self.decisions[0] if self.decisions else None
        shown = None
        if override is not None:
            expires_s = None if override.until_s is None else max(0.0, override.until_s - now_s)
            shown = OverrideView(override.replicas, expires_s)
        return ScalingView(
            service=self.service,
            policy=self.rule.settings.policy,
            shadow=self.rule.settings.shadow,
            min_instances=self.rule.min_instances,
            max_instances=self.rule.max_instances,
            current_instances=current,
            ready_instances=ready,
            cooldown=own["cooldown_s"],
            thresholds=own,
            fixed=self.fixed,
            override=shown,
            recommendation=recommendation(last.decision) if last is not None else "",
            decisions=list(self.decisions),
        )

    def to_memory(self, now_s: float, desired: int) -> bytes:
        return msgspec.json.encode(
            SavedRegistration(
                now_s,
                self.rule.settings.policy,
                msgspec.Raw(msgspec.json.encode(self.state)),
                desired,
                self.rule.min_instances,
                self.rule.max_instances,
                msgspec.Raw(self.rule.settings.model_dump_json().encode()),
                self.override,
                self.payoff,
                self.settings_hash,
                list(itertools.islice(self.decisions, WRITTEN_DECISIONS)),
            )
        )

    def restore(self, written: bytes, age_s: float, now_s: float) -> int:
        """Restore what an earlier controller saved, and return its desired replicas within the bounds.

        Settings changed at run time stay in force unless the fleet file has changed since.

        Args:
            age_s: time since the state was saved, by the wall clock, which may have been set meanwhile.
        Raises: msgspec.DecodeError, ValidationError or KeyError when the state is from another version; nothing has
        changed then.
        """
        memory = msgspec.json.decode(written, type=SavedRegistration)
        settings = ScalingSettings.model_validate_json(bytes(memory.settings))
        state: State = msgspec.json.decode(memory.state, type=type(POLICIES[memory.policy].first))
        by_s = now_s - max(0.0, min(age_s, LONGEST_AGE_S)) - memory.now_s
        if memory.settings_hash in ("", self.settings_hash):
            self.rule = replace(
                self.rule, min_instances=memory.min_instances, max_instances=memory.max_instances, settings=settings
            )
        if memory.policy == self.rule.settings.policy:
            self.state = state.moved(by_s)
        self.payoff = memory.payoff.moved(by_s)
        self.decisions.extend(memory.decisions)
        self.override = memory.override.moved(by_s) if memory.override is not None else None
        return self.rule.bounded(memory.desired)


def _same(one: Decision, other: Decision) -> bool:
    return (one.action, one.target_instances, one.reason) == (other.action, other.target_instances, other.reason)


def _merged(settings: ScalingSettings, change: ScalingChange) -> ScalingSettings:
    """Return the settings with the change merged in.

    Raises: InvalidRequest when a setting is unknown or its value is wrong.
    """
    policy = settings.policy if change.policy is None else change.policy
    tree = settings.model_dump()
    tree["policy"] = policy
    if change.shadow is not None:
        tree["shadow"] = change.shadow
    if policy in POLICIES:
        given = dict(change.thresholds or {})
        known = list(tree[policy])
        _check_size(given)
        if change.cooldown is not None:
            given["cooldown_s"] = change.cooldown
        _lay_over(tree[policy], given)
    try:
        return ScalingSettings.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(printable(str(part)) for part in first["loc"]) or "thresholds"
        message = rule_of(first)
        if first["type"] == "extra_forbidden":
            message = f"{policy} has no such setting; it has {', '.join(known)}"
        raise InvalidRequest(f"{name} is wrong: {message}. Correct it.", param=name) from error


def _check_size(thresholds: dict[str, object]) -> None:
    """Refuse settings that are too long to be validated, because each wrong setting would be an error of its own."""
    size = len(msgspec.json.encode(thresholds))
    if size > MAX_THRESHOLDS_BYTES:
        raise InvalidRequest(
            f"thresholds has {size} bytes of JSON, the limit is {MAX_THRESHOLDS_BYTES}. Send the settings to change.",
            param="thresholds",
        )


def _lay_over(tree: dict[str, object], given: dict[str, object]) -> None:
    for key, value in given.items():
        below = tree.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and key != "metrics":
            _lay_over(below, value)
        else:
            tree[key] = value
