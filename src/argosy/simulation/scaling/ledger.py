"""What happened in each second of a run, written by the queues and read by whoever measures."""

from __future__ import annotations

import numpy as np

from argosy.simulation.arrivals import FloatArray


class Ledger:
    """Sums since the beginning, at the end of each second: entry k is what had happened after k seconds.

    A mean over the last w seconds is the difference of two entries.
    """

    __slots__ = ("arrived", "busy_s", "ended", "in_flight", "late", "present_s", "response_s", "waiting")

    def __init__(self, seconds: int) -> None:
        self.arrived, self.ended = _zeros(seconds), _zeros(seconds)
        self.late = _zeros(seconds)
        """Requests that broke the promise, booked when they get a slot."""
        self.present_s = _zeros(seconds)
        """Integral of the requests in the system."""
        self.busy_s = _zeros(seconds)
        """Integral of the busy slots."""
        self.response_s = _zeros(seconds)
        """Sum of the response times of those that ended."""
        self.in_flight, self.waiting = _zeros(seconds), _zeros(seconds)
        """At that moment, no sums."""


def _zeros(seconds: int) -> FloatArray:
    return np.zeros(seconds + 1)
