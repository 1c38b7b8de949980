"""What a guarded caller holds its own eagerness back with: the classes that clients use in production."""

from __future__ import annotations

from argosy.balancing.outcome import Kind
from argosy.balancing.retry_budget import RetryBudget
from argosy.balancing.throttle import ClientThrottle


class Protection:
    """One per caller and service."""

    __slots__ = ("_budget", "_throttle")

    def __init__(self) -> None:
        self._budget = RetryBudget()
        self._throttle = ClientThrottle()

    def admits(self, chance: float, now_s: float) -> bool:
        """Whether a new request is sent at all."""
        if self._throttle.rejects(chance, now_s):
            return False
        self._budget.request(now_s)
        return True

    def retries(self, now_s: float) -> bool:
        """Whether a second attempt may be made; then it is paid for."""
        return self._budget.take(now_s)

    def ended(self, kind: Kind, now_s: float) -> None:
        if kind is not Kind.OVERLOADED:
            self._throttle.accepted(now_s)
