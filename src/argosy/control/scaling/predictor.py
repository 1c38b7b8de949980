"""What scaling asks of prediction. Prediction may know nothing; then it says None, and policies do without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from argosy.control.scaling.observation import Capacity, Forecast, Observation


class Predictor(Protocol):
    """Quick: each call takes well under a millisecond; fits run elsewhere."""

    def observe(self, service: str, seen: Observation, now_s: float) -> None:
        """Takes note of what was seen; called at every look, also when values are missing."""
        ...

    def observe_replica(self, service: str, replica: str, values: Mapping[str, float], now_s: float) -> None:
        """What is known of one ready replica, by the names of its series; to be recorded."""
        ...

    def forecast(self, service: str, now_s: float) -> Forecast | None: ...

    def capacity(self, service: str) -> Capacity | None: ...

    def cold_start_s(self, service: str) -> float | None:
        """To plan with, by the starts that were seen, also by earlier controllers; None where none was."""
        ...


class NoPredictor:
    """Knows nothing."""

    def observe(self, service: str, seen: Observation, now_s: float) -> None:
        return

    def observe_replica(self, service: str, replica: str, values: Mapping[str, float], now_s: float) -> None:
        return

    def forecast(self, service: str, now_s: float) -> Forecast | None:
        return None

    def capacity(self, service: str) -> Capacity | None:
        return None

    def cold_start_s(self, service: str) -> float | None:
        return None
