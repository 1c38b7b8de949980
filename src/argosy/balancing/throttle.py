"""Requests a caller refuses by itself because nearly none would be accepted: refusing costs the service, too.

Source: Site Reliability Engineering, chapter 21: reject with probability
max(0, (requests − 2 × accepts) / (requests + 1)), there over 2 minutes. Pure: time and chance come in.
"""

from __future__ import annotations

from collections import deque

MULTIPLIER = 2.0
WINDOW_S = 2.5
"""After a flash crowd callers go on refusing for about as long: over the source's 2 minutes for nearly as much."""
SLOT_S = 0.5


class ClientThrottle:
    def __init__(self, multiplier: float = MULTIPLIER, window_s: float = WINDOW_S, least: int = 0) -> None:
        """With fewer than `least` requests in the window nothing is refused: one refusal is no overload."""
        self._multiplier = multiplier
        self._least = least
        self._window_s = window_s
        self._slots: deque[list[float]] = deque()
        """Of SLOT_S each, the oldest first: when it began, requests, accepts."""
        self._requests = 0.0
        self._accepts = 0.0

    def rejects(self, chance: float, now_s: float, pending: int = 0) -> bool:
        """Whether to refuse this request here, `chance` being uniform in [0, 1). It is counted either way.

        `pending` requests were sent and are not answered yet: nobody has refused them.
        """
        refused = chance < self.probability(now_s, pending)
        self._slot(now_s)[1] += 1
        self._requests += 1
        return refused

    def accepted(self, now_s: float) -> None:
        """The service took a request on, however it went: only 429 and 503 are refusals."""
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
