"""Slot of a request among the requests in flight. A request gives up its slot while it waits for its caller."""

from __future__ import annotations

from argosy.contracts.errors import Overloaded
from argosy.contracts.request import Clock, RequestContext
from argosy.serving.admission import Admission, Asked
from argosy.serving.load import LoadTracker
from argosy.serving.waiting import Waiters


class Slot:
    """Slot of one counted request, from its head to the end of its answer."""

    __slots__ = (
        "_admission", "_asked", "_away", "_away_since_s", "_clock", "_ended", "_load", "_started_s", "_waited_s",
        "_waiters", "is_waiter", "wait_refused",
    )  # fmt: skip

    def __init__(self, load: LoadTracker, admission: Admission, waiters: Waiters, clock: Clock) -> None:
        self._load = load
        self._admission = admission
        self._waiters = waiters
        self._clock = clock
        self._asked: Asked | None = None
        self._away = 0
        self._away_since_s = self._waited_s = 0.0
        self._ended = False
        self.is_waiter = False
        self.wait_refused = False
        """Whether the request was refused because there are too many waiters; more replicas would not help."""
        self._started_s = load.begin()

    @property
    def is_held(self) -> bool:
        """Whether the request counts as in flight."""
        return not (self._away or self.is_waiter)

    def admit(self, path: str, context: RequestContext) -> None:
        """Admit the request. Raises: Overloaded or DeadlineExceeded as `Admission.admit` does."""
        self._asked = self._admission.admit(path, context, self._load.in_flight - 1, self._load.latency_ms)

    def step_out(self) -> None:
        """Give up the slot while the caller sends. Pair each call with `step_in`; several tasks may wait at once."""
        self._away += 1
        if self._away == 1 and not self.is_waiter and not self._ended:
            self._load.in_flight -= 1
            self._away_since_s = self._clock()

    def step_in(self) -> None:
        """Take the slot again after `step_out`, without a check of the limit; see `require_room`."""
        self._away -= 1
        if not self._away and not self.is_waiter and not self._ended:
            self._load.in_flight += 1
            self._waited_s += self._clock() - self._away_since_s

    def require_room(self) -> None:
        """Check the limit again after the body arrived, because other requests may have taken the slot.

        Raises: Overloaded when the limit is reached.
        """
        if not self.is_waiter:
            self._admission.require_room(self._load.in_flight - 1, self._load.latency_ms)

    def wait(self) -> None:
        """Turn the request into a waiter, which does not count as in flight.

        Raises: Overloaded when too many requests wait already.
        """
        if self.is_waiter:
            return
        try:
            self._waiters.enter()
        except Overloaded:
            self.wait_refused = True
            raise
        if not self._away:
            self._load.in_flight -= 1
        self.is_waiter = True

    def end(self, status: int, begun_s: float) -> float:
        """End the request. Returns: the seconds since it arrived. `begun_s` is the start time of its answer."""
        load = self._load
        if self.is_waiter:
            self._ended = True
            self._waiters.leave()
            load.count(status, self._clock())
            return self._clock() - self._started_s
        if self._away and not self._ended:
            load.in_flight += 1
            self._waited_s += self._clock() - self._away_since_s
        self._ended = True
        worked_from_s = self._started_s + self._waited_s
        elapsed_s = load.end(worked_from_s, status)
        if self._asked is not None:
            self._admission.answered(self._asked, status, max(0.0, begun_s - worked_from_s), load.in_flight + 1)
        return elapsed_s + self._waited_s
