"""Latency that a replica reports: the median of recent latencies at about its present load.

Source: B. Wydrowski et al., Prequal, NSDI 2024. A plain average would report a slow phase long after its end.
"""

from __future__ import annotations

from collections import deque
from statistics import median

KEPT = 16
RECENT_S = 2.0


class NearLatency:
    """Latencies by number of requests in flight at their end, in levels that double: 0, 1, 2–3, 4–7, …"""

    def __init__(self) -> None:
        self._levels: dict[int, deque[tuple[float, float]]] = {}

    def add(self, in_flight: int, latency_s: float, now_s: float) -> None:
        """Record the latency of a request that ended at `now_s` with `in_flight` others in flight."""
        level = in_flight.bit_length()
        self._levels.setdefault(level, deque(maxlen=KEPT)).append((now_s, latency_s))

    def at(self, in_flight: int, now_s: float) -> float | None:
        """Return the median latency of the last 2 s, in seconds, at this load level or the nearest one with data.

        Without recent data, return the latest latency of all; None before the first answer.
        """
        level, since_s = in_flight.bit_length(), now_s - RECENT_S
        # Every answer calls this and its own level nearly always has data, so other levels are sorted only if needed.
        if own := self._recent(level, since_s):
            return median(own)
        for near in sorted(self._levels, key=lambda known: abs(known - level)):
            if recent := self._recent(near, since_s):
                return median(recent)
        return max((times[-1] for times in self._levels.values()), default=(0.0, None))[1]

    def _recent(self, level: int, since_s: float) -> list[float]:
        return [took_s for at_s, took_s in self._levels.get(level, ()) if at_s >= since_s]
