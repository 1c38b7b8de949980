"""Client-side throttling: a caller refuses requests that would hardly be accepted, since refusals cost the service.

Source: Site Reliability Engineering, chapter 21: reject with probability
max(0, (requests − 2 × accepts) / (requests + 1)), there over 2 minutes. This module is pure: time and chance
come in.
"""

from __future__ import annotations

from collections import deque

MULTIPLIER = 2.0
WINDOW_S = 2.5
"""Window of the counts. Callers go on refusing for about this long after a flash crowd, so 2 minutes are too many."""
SLOT_S = 0.5


class ClientThrottle:
    def __init__(self, multiplier: float = MULTIPLIER, window_s: float = WINDOW_S, least: int = 0) -> None:
        """Create a throttle. With fewer than `least` requests in the window nothing is refused."""
        self._multiplier = multiplier
        self._least = least
        self._window_s = window_s
        self._slots: deque[list[float]] = deque()
        """Slots of SLOT_S each, the oldest first: begin, requests, accepts."""
        self._requests = 0.0
        self._accepts = 0.0

    def rejects(self, chance: float, now_s: float, pending: int = 0) -> bool:
        """Count the request and return whether to refuse it; `chance` is uniform in [0, 1).

        `pending` requests were sent and are not answered yet, so they do not count as refused.
        """
        refused = chance < self.probability(now_s, pending)
        self._slot(now_s)[1] += 1
        self._requests += 1
        return refused

    def accepted(self, now_s: float) -> None:
        """Record that the service accepted a request, however it ended: only 429 and 503 are refusals."""
        self._slot(now_s)[2] += 1
        self._accepts += 1

    def probability(self, now_s: float, pending: int = 0) -> float:
        while self._slots and now_s - self._slots[0][0] >= self._window_s:
            _, requests, accepts = self._slots.popleft()
            self._requests -= requests
            self._accepts -= accepts
        requests = self._requests - pending
        if requests < self._least:
            return 0.0
        return max(0.0, (requests - self._multiplier * self._accepts) / (requests + 1))

    def _slot(self, now_s: float) -> list[float]:
        if not self._slots or now_s - self._slots[-1][0] >= SLOT_S:
            self._slots.append([now_s, 0.0, 0.0])
        return self._slots[-1]
