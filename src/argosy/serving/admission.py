"""Admission control of a replica: 429 beyond its limits, 504 to a request that would miss its deadline."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass

from argosy.config.protection import ProtectionSettings
from argosy.contracts.errors import DeadlineExceeded, Overloaded
from argosy.contracts.request import DEADLINE_HEADER, Clock, Priority, RequestContext
from argosy.serving.concurrency import ConcurrencyLimit
from argosy.serving.min_latency import Quickest

PATHS_MOST = 64
"""Most paths for which the quickest answer is tracked; the built-in services have fewer routes."""


class Refusal(enum.StrEnum):
    """Reason why a request is refused."""

    FULL = "full"
    """The limit max_in_flight is reached."""
    CONCURRENCY = "concurrency"
    """The adaptive limit, which this replica measured itself, is reached."""
    BULK = "bulk"
    """Bulk work already uses its share of the limit."""
    LATE = "late"
    """The request has less time left than the quickest recent answer took."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An admitted request."""

    path: str
    in_flight: int
    """Requests in flight, including this request."""


class Admission:
    """Admission control without a queue: an admitted request starts at once, a refused one gets a time to retry.

    The adaptive limit is kept here and not in the callers, because only the replica sees all requests in flight to it.
    Limits that many callers measure separately do not add up to a limit of the replica.
    """

    def __init__(self, service: str, max_in_flight: int, settings: ProtectionSettings, clock: Clock) -> None:
        self._service = service
        self._settings = settings
        self._clock = clock
        self.max_in_flight = max_in_flight
        least = min(settings.concurrency_least, max_in_flight)
        self._adaptive = (
            # The limit starts at its maximum so that a new replica does not refuse a burst that it could process.
            ConcurrencyLimit(float(max_in_flight), float(least), float(max_in_flight))
            if settings.adaptive_concurrency
            else None
        )
        self._quickest: dict[str, Quickest] = {}
        self.refused: Counter[Refusal] = Counter()

    @property
    def limit(self) -> int:
        """Most requests that may be in flight now."""
        return self.max_in_flight if self._adaptive is None else min(self.max_in_flight, self._adaptive.limit)

    def admit(self, path: str, context: RequestContext, in_flight: int, latency_ms: float) -> Asked:
        """Admit a request while `in_flight` others are in flight.

        `latency_ms` is the mean latency of the replica, in milliseconds; it becomes the time to wait before a retry.
        Raises: Overloaded when a limit is reached; DeadlineExceeded when less time is left than the quickest recent
        answer took.
        """
        limit = self.require_room(in_flight, latency_ms)
        if context.priority is Priority.BULK and in_flight >= max(1, int(limit * self._settings.bulk_share)):
            share = f"{in_flight} requests in flight; the rest of its limit of {limit} is reserved for interactive ones"
            raise self._overloaded(Refusal.BULK, share, latency_ms)
        if self._settings.refuse_late:
            self._refuse_late(path, context)
        return Asked(path, in_flight + 1)

    def require_room(self, in_flight: int, latency_ms: float) -> int:
        """Return the limit. Raises: Overloaded when `in_flight` requests reach it."""
        limit = self.limit
        if in_flight >= limit:
            reason = Refusal.FULL if limit >= self.max_in_flight else Refusal.CONCURRENCY
            raise self._overloaded(reason, f"{limit} requests in flight, its limit", latency_ms)
        return limit

    def answered(self, asked: Asked, status: int, seconds: float, in_flight: int) -> None:
        """Learn from an answer whose first byte came after `seconds`. The time for the body depends on the reader.

        `in_flight` is the number of requests in flight at the end of the answer, including this one. It is needed
        because the first request of a burst is admitted with no others in flight.
        """
        if self._adaptive is not None and status == DeadlineExceeded.status:
            self._adaptive.late()
        if status >= 400:
            return
        if self._adaptive is not None:
            self._adaptive.answered(seconds, max(asked.in_flight, in_flight))
        if self._settings.refuse_late:
            quickest = self._quickest.get(asked.path)
            if quickest is None:
                if len(self._quickest) >= PATHS_MOST:
                    return
                quickest = self._quickest[asked.path] = Quickest()
            quickest.note(seconds, self._clock())

    def _refuse_late(self, path: str, context: RequestContext) -> None:
        quickest = self._quickest.get(path)
        if quickest is None:
            return
        least_s, left_s = quickest.least_s(self._clock()), context.deadline.remaining_s()
        if least_s is not None and left_s < least_s:
            self.refused[Refusal.LATE] += 1
            raise DeadlineExceeded(
                f"{max(0, int(left_s * 1000))} ms are left, but the quickest recent answer of the {self._service} "
                f"service took {int(least_s * 1000)} ms. Allow more time with {DEADLINE_HEADER}."
            )

    def _overloaded(self, reason: Refusal, what: str, latency_ms: float) -> Overloaded:
        self.refused[reason] += 1
        return Overloaded(
            f"The {self._service} service has {what}. Try again after the time in Retry-After.",
            retry_after_s=max(1.0, latency_ms / 1000),
        )
