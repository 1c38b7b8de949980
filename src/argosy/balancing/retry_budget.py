"""Budget of second attempts: a share of the caller's requests, so that retries never become the load.

Source: Finagle's RetryBudget, 20 % of the requests of the last 10 s. Finagle adds a reserve of 10 a
second for callers with few requests; here the larger of the two counts, because the sum would double the retries of
busy callers. Retries and hedges draw from the same budget. This module is pure: time comes in.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SHARE = 0.2
RESERVE_PER_S = 10.0
WINDOW_S = 10.0
SLOT_S = 0.5


@dataclass(slots=True)
class _Slot:
    began_s: float
    requests: int = 0
    taken: int = 0


class RetryBudget:
    def __init__(self, share: float = SHARE, reserve_per_s: float = RESERVE_PER_S, window_s: float = WINDOW_S) -> None:
        self._share = share
        self._reserve = reserve_per_s * window_s
        self._window_s = window_s
        self._slots: deque[_Slot] = deque()
        """Slots of SLOT_S each, the oldest first."""
        self._requests = 0
        self._taken = 0

    def request(self, now_s: float) -> None:
        """Record a first attempt, which earns a share of a second one."""
        self._slot(now_s).requests += 1
        self._requests += 1

    def take(self, now_s: float) -> bool:
        """Take one second attempt from the budget; False when the budget is spent."""
        if self.left(now_s) < 1:
            return False
        self._slot(now_s).taken += 1
        self._taken += 1
        return True

    def left(self, now_s: float) -> float:
        """Return the number of second attempts left: from earned attempts or the reserve, whichever is more."""
        while self._slots and now_s - self._slots[0].began_s >= self._window_s:
            slot = self._slots.popleft()
            self._requests -= slot.requests
            self._taken -= slot.taken
        return max(self._reserve, self._share * self._requests) - self._taken

    def _slot(self, now_s: float) -> _Slot:
        if not self._slots or now_s - self._slots[-1].began_s >= SLOT_S:
            self._slots.append(_Slot(now_s))
        return self._slots[-1]
