"""What a replica says of its latency: the middle of what it took lately at about the load it has now.

Source: B. Wydrowski et al., Prequal, NSDI 2024. A plain average would still tell of a slowness long after it is over.
"""

from __future__ import annotations

from collections import deque
from statistics import median

KEPT = 16
RECENT_S = 2.0


class NearLatency:
    """Times by number of requests in flight at the end, in levels that double: 0, 1, 2–3, 4–7, …"""

    def __init__(self) -> None:
        self._levels: dict[int, deque[tuple[float, float]]] = {}

    def add(self, in_flight: int, latency_s: float, now_s: float) -> None:
        level = in_flight.bit_length()
        self._levels.setdefault(level, deque(maxlen=KEPT)).append((now_s, latency_s))

    def at(self, in_flight: int, now_s: float) -> float | None:
        """Seconds: the median of the last 2 s at this load or the one nearest to it, else the last time of all.

        None before the first answer.
        """
        level, since_s = in_flight.bit_length(), now_s - RECENT_S
        # Every answer asks, and nearly always its own level knows: the others are put in order only where it does not.
        if own := self._recent(level, since_s):
            return median(own)
        for near in sorted(self._levels, key=lambda known: abs(known - level)):
            if recent := self._recent(near, since_s):
                return median(recent)
        return max((times[-1] for times in self._levels.values()), default=(0.0, None))[1]

    def _recent(self, level: int, since_s: float) -> list[float]:
        return [took_s for at_s, took_s in self._levels.get(level, ()) if at_s >= since_s]
