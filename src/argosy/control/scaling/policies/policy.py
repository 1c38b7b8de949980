"""What every policy is: a pure function from what is seen, remembered and set to a decision and what to remember."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from argosy.contracts.scaling import Action, Decision
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.observation import Observation

OBSERVED_INTERVALS = 3
"""Observations further apart than this many intervals leave a gap, which counts as no calm."""
ROUNDING = 1e-9


class State(Protocol):
    """What a policy remembers between two decisions: an immutable struct that msgspec can write and read."""

    def moved(self, by_s: float) -> Self:
        """The same with all its times moved, as after a restart, when the monotonic clock begins elsewhere."""
        ...


S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Policy(Generic[S]):
    """One row of the table of policies."""

    name: str
    first: S
    """The state of a service never seen before."""
    look: Callable[[Observation, S, Rule, float], tuple[Decision, S]]
    """(observation, state, rule, now on the monotonic clock) → (decision, next state if nothing is done). Raises
    nothing."""
    stepped: Callable[[S, int, Decision, float], S]
    """(that state, replicas before, decision, now) → next state, if the decision is carried out: cooldowns and holds
    begin."""
    interval_s: Callable[[Rule], float]
    """Time between two decisions."""

    def decide(self, seen: Observation, state: S, rule: Rule, now_s: float) -> tuple[Decision, S]:
        """A look, and its decision carried out as it is."""
        decision, state = self.look(seen, state, rule, now_s)
        if decision.action is Action.NONE:
            return decision, state
        return decision, self.stepped(state, seen.replicas, decision, now_s)


def gap_s(rule: Rule, interval_s: float) -> float:
    """The longest time between two observations that leaves no gap."""
    return OBSERVED_INTERVALS * max(interval_s, rule.look_s)


def missing(seen: Observation, rule: Rule, needed: tuple[str, ...]) -> str:
    """Which of the metrics that are needed are not known, for people to read; empty where all are."""
    if seen.age_s > rule.settings.stale_s:
        return f"the load is {seen.age_s:.0f} s old, stale_s = {rule.settings.stale_s:g}"
    if not seen.known_of:
        return "no replica reports its load"
    absent = [name for name in needed if seen.metric(name) is None]
    return f"no {', '.join(absent)}" if absent else ""


def cooling(stepped_s: float | None, cooldown_s: float, now_s: float) -> str:
    """How much of the cooldown after the last step is left, for people to read; empty when none is."""
    left_s = 0.0 if stepped_s is None else cooldown_s - (now_s - stepped_s)
    return f"cooldown_s = {cooldown_s:g}, {left_s:.0f} s of it left" if left_s > 0 else ""


def whole(replicas: float) -> int:
    """The next whole number; what floats add to one that is whole already does not count."""
    return math.ceil(replicas - ROUNDING)
