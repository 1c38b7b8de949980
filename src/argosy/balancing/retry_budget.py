"""How many second attempts a caller may make: a share of its requests, so that retries never become the load.

Source: Finagle's RetryBudget: 20 % of the requests of the last 10 s, and 10 a second besides for callers with few.
Retries and hedges draw from the same budget. Pure: time comes in.
"""

from __future__ import annotations

from collections import deque

SHARE = 0.2
RESERVE_PER_S = 10.0
WINDOW_S = 10.0
SLOT_S = 0.5


class RetryBudget:
    def __init__(self, share: float = SHARE, reserve_per_s: float = RESERVE_PER_S, window_s: float = WINDOW_S) -> None:
        self._share = share
        self._reserve = reserve_per_s * window_s
        self._window_s = window_s
        self._slots: deque[list[float]] = deque()
        """Of SLOT_S each, the oldest first: when it began, tokens put in less tokens taken."""
        self._balance = 0.0

    def request(self, now_s: float) -> None:
        """Notes a first attempt: it earns its share of a second one."""
        self._add(self._share, now_s)

    def take(self, now_s: float) -> bool:
        """Whether a second attempt may be made now; then it is paid for."""
        if self.left(now_s) < 1:
            return False
        self._add(-1.0, now_s)
        return True

    def left(self, now_s: float) -> float:
        """Attempts that could be paid for now."""
        while self._slots and now_s - self._slots[0][0] >= self._window_s:
            self._balance -= self._slots.popleft()[1]
        return self._reserve + self._balance

    def _add(self, tokens: float, now_s: float) -> None:
        if not self._slots or now_s - self._slots[-1][0] >= SLOT_S:
            self._slots.append([now_s, 0.0])
        self._slots[-1][1] += tokens
        self._balance += tokens
