"""How many requests one replica can bear at once, found out from how long they take.

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
"""Times the long average that an answer may take before the limit sinks."""
BACKOFF = 0.9
"""Times the limit after a request that was not answered in its time."""


class ConcurrencyLimit:
    """One per replica."""

    def __init__(self, initial: float = INITIAL, least: float = LEAST, most: float = MOST) -> None:
        self._limit = initial
        self._least = least
        self._most = most
        self._long_s = 0.0

    @property
    def limit(self) -> int:
        return int(self._limit)

    def late(self) -> None:
        """A request was not answered in its time."""
        self._set(self._limit * BACKOFF)

    def answered(self, latency_s: float, in_flight: int) -> None:
        """Learns from an answer; `in_flight` is how many were in work when it was taken on, itself included."""
        if latency_s <= 0:
            return
        weight = 2 / (LONG_WINDOW + 1)
        self._long_s = latency_s if not self._long_s else self._long_s + weight * (latency_s - self._long_s)
        if self._long_s / latency_s > 2:
            # After a time of overload the long average comes down faster.
            self._long_s *= 0.95
        if in_flight < self._limit / 2:
            return  # not near the limit: how long it took says nothing about it
        gradient = max(GRADIENT_LEAST, min(1.0, TOLERANCE * self._long_s / latency_s))
        self._set((1 - SMOOTHING) * self._limit + SMOOTHING * (gradient * self._limit + HEADROOM))

    def _set(self, limit: float) -> None:
        self._limit = max(self._least, min(self._most, limit))
