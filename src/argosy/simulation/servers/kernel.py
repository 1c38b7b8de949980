"""Virtual clock: events run in order of time, and events of the same time in the order in which they were scheduled."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any

Act = Callable[[Any], None]
"""Callback of an event, called with its subject at its time. Passing the subject avoids one closure per event."""


class Kernel:
    """Event loop in which time advances only from one event to the next. Other code only reads `now_s`."""

    __slots__ = ("_events", "_order", "now_s")

    def __init__(self) -> None:
        self.now_s = 0.0
        self._events: list[tuple[float, int, Act, Any]] = []
        self._order = itertools.count()

    def clock(self) -> float:
        """Return `now_s`; this method is the `Clock` of the code under simulation."""
        return self.now_s

    def at(self, when_s: float, act: Act, subject: object = None) -> None:
        """Schedule an event. `when_s` must not lie in the past."""
        heapq.heappush(self._events, (when_s, next(self._order), act, subject))

    def run(self, until_s: float = math.inf) -> None:
        """Run events until none is left or the next one lies after `until_s`."""
        events, pop = self._events, heapq.heappop
        while events and events[0][0] <= until_s:
            self.now_s, _, act, subject = pop(events)
            act(subject)
