"""Which requests a replica takes on. Past its limits the answer is 429, and 504 to what cannot be answered in time."""

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
"""Paths whose quickest answer is known; the routes of our own services are fewer."""


class Refusal(enum.StrEnum):
    FULL = "full"
    """max_in_flight is reached."""
    CONCURRENCY = "concurrency"
    """The limit that this replica found out for itself is reached."""
    BULK = "bulk"
    """Bulk work has its share."""
    LATE = "late"
    """It has less time left than the quickest recent answer took."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was admitted."""

    path: str
    in_flight: int
    """Itself included."""


class Admission:
    """Not a queue: what is admitted is worked on, what is not is told when to come back.

    The adaptive limit stands here and not in the callers: only the replica sees all that is in flight to it, and the
    sum of what many callers find out apart is no limit.
    """

    def __init__(self, service: str, max_in_flight: int, settings: ProtectionSettings, clock: Clock) -> None:
        self._service = service
        self._settings = settings
        self._clock = clock
        self.max_in_flight = max_in_flight
        least = min(settings.concurrency_least, max_in_flight)
        self._adaptive = (
            # From the top down: a replica that nobody knows yet turns no burst away that it could bear.
            ConcurrencyLimit(float(max_in_flight), float(least), float(max_in_flight))
            if settings.adaptive_concurrency
            else None
        )
        self._quickest: dict[str, Quickest] = {}
        self.refused: Counter[Refusal] = Counter()

    @property
    def limit(self) -> int:
        """Requests that may be in work at once now."""
        return self.max_in_flight if self._adaptive is None else min(self.max_in_flight, self._adaptive.limit)

    def admit(self, path: str, context: RequestContext, in_flight: int, latency_ms: float) -> Asked:
        """With `in_flight` requests in work already. Raises: Overloaded; DeadlineExceeded."""
        limit = self.require_room(in_flight, latency_ms)
        if context.priority is Priority.BULK and in_flight >= max(1, int(limit * self._settings.bulk_share)):
            share = f"{in_flight} requests in work; the rest of its limit of {limit} is kept for interactive ones"
            raise self._overloaded(Refusal.BULK, share, latency_ms)
        if self._settings.refuse_late:
            self._refuse_late(path, context)
        return Asked(path, in_flight + 1)

    def require_room(self, in_flight: int, latency_ms: float) -> int:
        """Return the limit. Raises: Overloaded, `in_flight` requests fill it."""
        limit = self.limit
        if in_flight >= limit:
            reason = Refusal.FULL if limit >= self.max_in_flight else Refusal.CONCURRENCY
            raise self._overloaded(reason, f"{limit} requests in work, its limit", latency_ms)
        return limit

    def answered(self, asked: Asked, status: int, seconds: float, in_flight: int) -> None:
        """Learns from an answer that began after `seconds`; how long its body takes depends on who reads it.

        `in_flight` is how many are in work at its end, itself included: of a burst, the first found nobody before them.
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
                f"{max(0, int(left_s * 1000))} ms are left, and the quickest recent answer of the {self._service} "
                f"service took {int(least_s * 1000)} ms. Allow more time with {DEADLINE_HEADER}."
            )

    def _overloaded(self, reason: Refusal, what: str, latency_ms: float) -> Overloaded:
        self.refused[reason] += 1
        return Overloaded(
            f"The {self._service} service has {what}. Try again after the time in Retry-After.",
            retry_after_s=max(1.0, latency_ms / 1000),
        )
