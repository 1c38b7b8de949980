"""Context of a request that travels through every hop: its id, its deadline, its priority."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from argosy.contracts.errors import DeadlineExceeded

Clock = Callable[[], float]
"""Function that returns seconds since an arbitrary point and never goes back: `time.monotonic` outside tests."""

REQUEST_ID_HEADER = "x-request-id"
DEADLINE_HEADER = "x-argosy-deadline-ms"
PRIORITY_HEADER = "x-argosy-priority"
STRATEGY_HEADER = "x-argosy-strategy"
TRACEPARENT_HEADER = "traceparent"
DEGRADED_HEADER = "x-argosy-degraded"
CACHE_HEADER = "x-argosy-cache"
LOAD_HEADER = "endpoint-load-metrics"

FALLBACK_SHARE = 0.4
"""Largest share of the remaining time that a hop with a fallback may take."""


class Priority(enum.StrEnum):
    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Deadline:
    """Point on the clock after which no caller waits for the answer."""

    expires_at_s: float
    clock: Clock = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Clock = time.monotonic) -> Deadline:
        return cls(clock() + seconds, clock)

    def remaining_s(self) -> float:
        """Return the seconds left; negative after the deadline."""
        return self.expires_at_s - self.clock()

    def require(self, what: str) -> float:
        """Return the seconds left.

        Raises: DeadlineExceeded when none are left; the message says that the deadline passed before `what`.
        """
        left = self.remaining_s()
        if left <= 0:
            raise DeadlineExceeded(f"The deadline passed before {what}. Allow more time with {DEADLINE_HEADER}.")
        return left

    def within(self, seconds: float) -> Deadline:
        """Return the deadline after `seconds`, or this one where it is earlier."""
        return Deadline(min(self.expires_at_s, self.clock() + seconds), self.clock)

    def share(self, fraction: float) -> Deadline:
        """Return an earlier deadline, after `fraction` of the remaining time."""
        return Deadline(self.clock() + max(0.0, self.remaining_s()) * fraction, self.clock)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Context of one request, passed explicitly to all code that works for the request."""

    request_id: str
    deadline: Deadline
    priority: Priority = Priority.INTERACTIVE
    traceparent: str | None = None
    strategy: str | None = None
    """Balancing strategy for every hop of this request, for debugging; None uses the strategy of each service."""

    def for_hop_with_fallback(self) -> RequestContext:
        """Return the same context with an earlier deadline, so that time remains for the fallback."""
        return replace(self, deadline=self.deadline.share(FALLBACK_SHARE))

    def headers(self) -> dict[str, str]:
        """Return the headers to send to the next hop."""
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
