"""What the controller recorded of a service: the answer of `GET /v1/services/{name}/history`."""

from __future__ import annotations

import msgspec

Points = list[float | None]
"""One for each step; None where nothing is known."""


class HistoryPage(msgspec.Struct):
    """Means over steps. Times in seconds, `cpu`, `memory`, `errors` and `overload` as shares, the rest a second or
    counts; what is not recorded within the window is left out."""

    service: str
    step_s: int
    begin: float
    """Wall time at which the first point begins."""
    series: dict[str, Points]
    """Of the service as a whole, by measure."""
    replicas: dict[str, dict[str, Points]]
    """The same of each replica, by its id."""
