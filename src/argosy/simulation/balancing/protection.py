"""Limits that a guarded caller puts on its requests and retries, with the classes that clients use in production."""

from __future__ import annotations

from argosy.balancing.outcome import OutcomeKind
from argosy.balancing.retry_budget import RetryBudget
from argosy.balancing.throttle import ClientThrottle


class Protection:
    """Retry budget and throttle of one caller for one service."""

    __slots__ = ("_budget", "_throttle")

    def __init__(self) -> None:
        self._budget = RetryBudget()
        self._throttle = ClientThrottle()

    def admits(self, chance: float, now_s: float) -> bool:
        """Return whether a new request may be sent. An admitted request adds to the retry budget."""
        if self._throttle.rejects(chance, now_s):
            return False
        self._budget.request(now_s)
        return True

    def retries(self, now_s: float) -> bool:
        """Return whether another attempt may be made, and charge it to the budget if so."""
        return self._budget.take(now_s)

    def ended(self, kind: OutcomeKind, now_s: float) -> None:
        if kind is not OutcomeKind.OVERLOADED:
            self._throttle.accepted(now_s)
