"""The virtual clock: events happen in the order of their times, those of the same time in the order they were set."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any

Act = Callable[[Any], None]
"""Called with its subject when its time has come. The subject spares a closure per event."""


class Kernel:
    """Time passes only from one event to the next. `now_s` is for reading."""

    __slots__ = ("_events", "_order", "now_s")

    def __init__(self) -> None:
        self.now_s = 0.0
        self._events: list[tuple[float, int, Act, Any]] = []
        self._order = itertools.count()

    def clock(self) -> float:
        """`now_s` as the `Clock` that the code under simulation is given."""
        return self.now_s

    def at(self, when_s: float, act: Act, subject: object = None) -> None:
        """Sets an event. `when_s` must not lie in the past."""
        heapq.heappush(self._events, (when_s, next(self._order), act, subject))

    def run(self, until_s: float = math.inf) -> None:
        """Until nothing is left to happen, or the next event lies after `until_s`."""
        events, pop = self._events, heapq.heappop
        while events and events[0][0] <= until_s:
            self.now_s, _, act, subject = pop(events)
            act(subject)
