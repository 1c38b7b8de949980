"""Recorded measures of a service: the response of `GET /v1/services/{name}/history`."""

from __future__ import annotations

import msgspec

Points = list[float | None]
"""Value of each step; None when there is no record."""


class HistoryPage(msgspec.Struct):
    """Means of each measure over steps.

    Times are in seconds; `cpu`, `memory`, `errors` and `overload` are shares; others are rates per second or counts. A
    measure without a record in the window is left out.
    """

    service: str
    step_s: int
    begin: float
    """Wall time at which the first step begins."""
    series: dict[str, Points]
    """Points of the whole service, by measure."""
    replicas: dict[str, dict[str, Points]]
    """Points of each replica, by its id and the measure."""
