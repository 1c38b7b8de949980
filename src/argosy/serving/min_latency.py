"""How quick the quickest recent answer was: a bound that only what is hopeless falls below. Pure: time comes in."""

from __future__ import annotations

from collections import deque

WINDOW_S = 10.0
"""What is older says nothing any more: where everything was refused, after that one is tried again."""
SLOT_S = 1.0
LEAST = 20
"""Answers in the window, before it says anything."""


class Quickest:
    def __init__(self) -> None:
        self._slots: deque[list[float]] = deque()
        """Of SLOT_S each, the oldest first: when it began, answers, the shortest time among them."""

    def note(self, seconds: float, now_s: float) -> None:
        slots = self._slots
        if not slots or now_s - slots[-1][0] >= SLOT_S:
            slots.append([now_s, 0, seconds])
            self._expire(now_s)
        slot = slots[-1]
        slot[1] += 1
        slot[2] = min(slot[2], seconds)

    def least_s(self, now_s: float) -> float | None:
        """The shortest time among the answers of the window; None where these are too few."""
        self._expire(now_s)
        if sum(slot[1] for slot in self._slots) < LEAST:
            return None
        return min(slot[2] for slot in self._slots)

    def _expire(self, now_s: float) -> None:
        while self._slots and now_s - self._slots[0][0] >= WINDOW_S:
            self._slots.popleft()
