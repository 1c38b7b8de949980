"""What travels with a request through every hop: its id, its deadline, its priority."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from argosy.contracts.errors import DeadlineExceeded

Clock = Callable[[], float]
"""Seconds from an arbitrary point, never going back: `time.monotonic` outside tests."""

REQUEST_ID_HEADER = "x-request-id"
DEADLINE_HEADER = "x-argosy-deadline-ms"
PRIORITY_HEADER = "x-argosy-priority"
STRATEGY_HEADER = "x-argosy-strategy"
TRACEPARENT_HEADER = "traceparent"
DEGRADED_HEADER = "x-argosy-degraded"
CACHE_HEADER = "x-argosy-cache"
LOAD_HEADER = "endpoint-load-metrics"

FALLBACK_SHARE = 0.4
"""The most a hop that has a fallback may take of the time that is left."""


class Priority(enum.StrEnum):
    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the clock after which nobody waits for the answer any more."""

    expires_at_s: float
    clock: Clock = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Clock = time.monotonic) -> Deadline:
        return cls(clock() + seconds, clock)

    def remaining_s(self) -> float:
        """Seconds left, negative once it has passed."""
        return self.expires_at_s - self.clock()

    def require(self, what: str) -> float:
        """Seconds left. Raises: DeadlineExceeded when none are, naming `what` was to be done."""
        left = self.remaining_s()
        if left <= 0:
            raise DeadlineExceeded(f"The deadline passed before {what}. Allow more time with {DEADLINE_HEADER}.")
        return left

    def share(self, fraction: float) -> Deadline:
        """An earlier deadline that leaves `1 - fraction` of the remaining time to others."""
        return Deadline(self.clock() + max(0.0, self.remaining_s()) * fraction, self.clock)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Passed explicitly to whatever works for a request."""

    request_id: str
    deadline: Deadline
    priority: Priority = Priority.INTERACTIVE
    traceparent: str | None = None
    strategy: str | None = None
    """The balancing strategy of every hop of this request, for debugging; None takes each service's own."""

    def for_hop_with_fallback(self) -> RequestContext:
        """The same request, limited so that time remains for the fallback."""
        return replace(self, deadline=self.deadline.share(FALLBACK_SHARE))

    def headers(self) -> dict[str, str]:
        """What the next hop is sent."""
        sent = {
            REQUEST_ID_HEADER: self.request_id,
            DEADLINE_HEADER: str(max(0, int(self.deadline.remaining_s() * 1000))),
            PRIORITY_HEADER: self.priority.value,
        }
        if self.traceparent is not None:
            sent[TRACEPARENT_HEADER] = self.traceparent
        if self.strategy is not None:
            sent[STRATEGY_HEADER] = self.strategy
        return sent
