"""Delay after which a second copy of a request is sent: about the 95th percentile of recent latencies.

Source: J. Dean and L. Barroso, The Tail at Scale, CACM 56 (2013). By this definition about one request in twenty is
hedged; the retry budget bounds hedging when all replicas are slow. This module is pure: latencies in, a delay out.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

QUANTILE = 0.95
WINDOW = 200
LEAST = 20
"""Number of answers that must be known before anything is hedged."""
SHORTEST_S = 0.002
"""Shortest delay. Below it a second copy costs more than it can gain."""


class HedgeDelay:
    """Hedging delay of one service. All replicas share it: hedging is for the ones that are slower than the rest."""

    def __init__(self, quantile: float = QUANTILE, window: int = WINDOW) -> None:
        self._quantile = quantile
        self._recent: deque[float] = deque(maxlen=window)
        self._sorted: list[float] = []

    def note(self, latency_s: float) -> None:
        """Record the latency of a first attempt; for one abandoned in favour of its hedge, the time until then."""
        if len(self._recent) == self._recent.maxlen:
            del self._sorted[bisect_left(self._sorted, self._recent[0])]
        self._recent.append(latency_s)
        insort(self._sorted, latency_s)

    def after_s(self) -> float | None:
        """Return the time without an answer after which to send the second copy; None while too little is known."""
        count = len(self._sorted)
        if count < LEAST:
            return None
        return max(SHORTEST_S, self._sorted[min(count - 1, int(self._quantile * count))])
