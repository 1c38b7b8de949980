"""Interface of scaling policies: pure functions from observation, state and rule to a decision and the next state."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from argosy.contracts.scaling import Action, Decision
from argosy.control.observation import Observation
from argosy.control.scaling.decision import Rule, out_of_bounds

OBSERVED_INTERVALS = 3
"""Observations further apart than this many intervals leave a gap, which does not count as calm."""
ROUNDING = 1e-9


class State(Protocol):
    """State that a policy keeps between two decisions: an immutable struct that msgspec can encode and decode."""

    def moved(self, by_s: float) -> Self:
        """Return the state with all its times moved, for a restart with another origin of the monotonic clock."""
        ...


S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Policy(Generic[S]):
    """Row of the table of policies."""

    name: str
    first: S
    """State of a service that was never seen before."""
    within_bounds: Callable[[Observation, S, Rule, float], tuple[Decision, S]]
    """(observation, state, rule, now on the monotonic clock) → (decision, next state if nothing is done).

    Raises nothing.
    """
    stepped: Callable[[S, int, Decision, float], S]
    """(state, replicas before, decision, now) → next state after the decision is carried out.

    Cooldowns and holds begin.
    """
    interval_s: Callable[[Rule], float]
    """Time between two decisions."""

    def look(self, seen: Observation, state: S, rule: Rule, now_s: float) -> tuple[Decision, S]:
        """Return the decision and the next state if nothing is done. The bounds go before the policy."""
        outside = out_of_bounds(seen, rule)
        return self.within_bounds(seen, state, rule, now_s) if outside is None else (outside, state)

    def decide(self, seen: Observation, state: S, rule: Rule, now_s: float) -> tuple[Decision, S]:
        """Decide, and assume that the decision is carried out unchanged."""
        decision, state = self.look(seen, state, rule, now_s)
        if decision.action is Action.NONE:
            return decision, state
        return decision, self.stepped(state, seen.replicas, decision, now_s)


def gap_s(rule: Rule, interval_s: float) -> float:
    """Return the longest time between two observations that leaves no gap."""
    return OBSERVED_INTERVALS * max(interval_s, rule.look_s)


def missing(seen: Observation, rule: Rule, needed: tuple[str, ...]) -> str:
    """Return which needed metrics are not known, as text; empty when all are known."""
    if seen.age_s > rule.settings.stale_s:
        return f"the load is {seen.age_s:.0f} s old, stale_s = {rule.settings.stale_s:g}"
    if not seen.known_of:
        return "no replica reports its load"
    absent = [name for name in needed if seen.metric(name) is None]
    return f"no {', '.join(absent)}" if absent else ""


def cooling(stepped_s: float | None, cooldown_s: float, now_s: float) -> str:
    """Return how much of the cooldown after the last step is left, as text; empty when none is left."""
    left_s = 0.0 if stepped_s is None else cooldown_s - (now_s - stepped_s)
    return f"cooldown_s = {cooldown_s:g}, {left_s:.0f} s of it left" if left_s > 0 else ""


def whole(replicas: float) -> int:
    """Return the next whole number, ignoring rounding errors of numbers that are whole already."""
    return math.ceil(replicas - ROUNDING)
