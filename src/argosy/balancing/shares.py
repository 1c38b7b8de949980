"""Picks of each replica in the last minute, in constant memory: counts in slots of 5 s."""

from __future__ import annotations

from collections import Counter, deque

SLOT_S = 5.0
SLOTS = 12


class PickShares:
    def __init__(self) -> None:
        self._slots: deque[tuple[float, Counter[str]]] = deque(maxlen=SLOTS)
        self._ends_s = float("-inf")

    def count(self, replica_id: str, now_s: float) -> None:
        if now_s >= self._ends_s:
            self._slots.append((now_s, Counter()))
            self._ends_s = now_s + SLOT_S
        self._slots[-1][1][replica_id] += 1

    def of(self, now_s: float) -> tuple[int, dict[str, float]]:
        """Return the number of picks and each replica's share of them; no shares when there were no picks."""
        total: Counter[str] = Counter()
        for began_s, counts in self._slots:
            if now_s - began_s < SLOT_S * SLOTS:
                total += counts
        picks = total.total()
        return picks, {replica_id: n / picks for replica_id, n in total.items()}
