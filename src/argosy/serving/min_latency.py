"""Latency of the quickest recent answer: a request with less time left cannot succeed. Pure: time comes in."""

from __future__ import annotations

from collections import deque

WINDOW_S = 10.0
"""Age at which answers are forgotten. When all requests are refused, requests are admitted again after this time."""
SLOT_S = 1.0
LEAST = 20
"""Least number of answers in the window for a result."""


class Quickest:
    """Shortest latency among recent answers."""

    def __init__(self) -> None:
        self._slots: deque[list[float]] = deque()
        """Slots of SLOT_S each, oldest first: start time, number of answers, shortest latency."""

    def note(self, seconds: float, now_s: float) -> None:
        """Record the latency of an answer, in seconds."""
        slots = self._slots
        if not slots or now_s - slots[-1][0] >= SLOT_S:
            slots.append([now_s, 0, seconds])
            self._expire(now_s)
        slot = slots[-1]
        slot[1] += 1
        slot[2] = min(slot[2], seconds)

    def least_s(self, now_s: float) -> float | None:
        """Return the shortest latency in the window, in seconds; None when there are fewer than LEAST answers."""
        self._expire(now_s)
        if sum(slot[1] for slot in self._slots) < LEAST:
            return None
        return min(slot[2] for slot in self._slots)

    def _expire(self, now_s: float) -> None:
        while self._slots and now_s - self._slots[0][0] >= WINDOW_S:
            self._slots.popleft()
