"""Counts for each second of a run, written by the queues and read by the measurements."""

from __future__ import annotations

import numpy as np

from argosy.simulation.loads.arrivals import FloatArray


class Ledger:
    """Cumulative sums at the end of each second: entry k is the total after k seconds.

    A mean over the last w seconds is the difference of two entries divided by w.
    """

    __slots__ = ("arrived", "busy_s", "ended", "in_flight", "late", "present_s", "response_s", "waiting")

    def __init__(self, seconds: int) -> None:
        self.arrived, self.ended = _zeros(seconds), _zeros(seconds)
        self.late = _zeros(seconds)
        """Requests that missed the SLO, counted when they get a slot."""
        self.present_s = _zeros(seconds)
        """Integral of the requests in the system over time."""
        self.busy_s = _zeros(seconds)
        """Integral of the busy slots over time."""
        self.response_s = _zeros(seconds)
        """Sum of the response times of the requests that ended."""
        self.in_flight, self.waiting = _zeros(seconds), _zeros(seconds)
        """Values at that moment, not sums."""


def _zeros(seconds: int) -> FloatArray:
    return np.zeros(seconds + 1)
