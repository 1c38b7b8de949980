"""Adaptive concurrency limit of one replica, derived from its latency.

Source: Netflix concurrency-limits, Gradient2: g = clamp(long RTT / RTT, 0.5, 1), between 20 and 200
limit ← 0.8 limit + 0.2 (g × limit + 4). Pure: answers come in, a limit goes out.
"""

from __future__ import annotations

INITIAL = 20.0
LEAST, MOST = 20.0, 200.0
SMOOTHING = 0.2
HEADROOM = 4.0
LONG_WINDOW = 600
GRADIENT_LEAST = 0.5
TOLERANCE = 1.5
"""Multiple of the long-term average latency above which the limit falls."""
BACKOFF = 0.9
"""Factor of the limit after a request that missed its deadline."""


class ConcurrencyLimit:
    """Adaptive concurrency limit of one replica."""

    def __init__(self, initial: float = INITIAL, least: float = LEAST, most: float = MOST) -> None:
        self._limit = initial
        self._least = least
        self._most = most
        self._long_s = 0.0

    @property
    def limit(self) -> int:
        return int(self._limit)

    def late(self) -> None:
        """Lower the limit after a request that missed its deadline."""
        self._set(self._limit * BACKOFF)

    def answered(self, latency_s: float, in_flight: int) -> None:
        """Learn from an answer; `in_flight` is the number of requests at its admission, including itself."""
        if latency_s <= 0:
            return
        weight = 2 / (LONG_WINDOW + 1)
        self._long_s = latency_s if not self._long_s else self._long_s + weight * (latency_s - self._long_s)
        if self._long_s / latency_s > 2:
            # After an overload the long-term average falls faster.
            self._long_s *= 0.95
        if in_flight < self._limit / 2:
            return  # far below the limit, latency carries no information about the limit
        gradient = max(GRADIENT_LEAST, min(1.0, TOLERANCE * self._long_s / latency_s))
        self._set((1 - SMOOTHING) * self._limit + SMOOTHING * (gradient * self._limit + HEADROOM))

    def _set(self, limit: float) -> None:
        self._limit = max(self._least, min(self._most, limit))
