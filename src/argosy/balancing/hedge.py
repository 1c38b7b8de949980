"""When a second copy of a request is worth sending: after about the 95th percentile of what answers took lately.

Source: J. Dean and L. Barroso, The Tail at Scale, CACM 56 (2013). By its definition about one request in twenty is
hedged; the retry budget bounds it where all are slow. Pure: latencies come in, a delay goes out.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

QUANTILE = 0.95
WINDOW = 200
LEAST = 20
"""Answers to have seen before anything is hedged."""
SHORTEST_S = 0.002
"""Below that a second copy costs more than it can win."""


class HedgeDelay:
    """One per service: a read of one replica is as long as one of another, or else that is what hedging is for."""

    def __init__(self, quantile: float = QUANTILE, window: int = WINDOW) -> None:
        self._quantile = quantile
        self._recent: deque[float] = deque(maxlen=window)
        self._sorted: list[float] = []

    def note(self, latency_s: float) -> None:
        """An answer to a first attempt; of one that was given up for its hedge, the time until then."""
        if len(self._recent) == self._recent.maxlen:
            del self._sorted[bisect_left(self._sorted, self._recent[0])]
        self._recent.append(latency_s)
        insort(self._sorted, latency_s)

    def after_s(self) -> float | None:
        """Time without an answer after which to send the second copy; None while too little is known."""
        count = len(self._sorted)
        if count < LEAST:
            return None
        return max(SHORTEST_S, self._sorted[min(count - 1, int(self._quantile * count))])
