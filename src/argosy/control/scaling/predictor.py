"""What scaling asks of prediction. Prediction may know nothing; then it says None, and policies do without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from argosy.control.scaling.observation import Capacity, Forecast, Observation
from argosy.serving.loops import Loops

FORECASTING = "forecasting"

T = TypeVar("T")


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


class GuardedPredictor:
    """A predictor whose errors become "nothing is known": scaling goes on without it, and health says so."""

    def __init__(self, predictor: Predictor, loops: Loops) -> None:
        self._predictor = predictor
        self._loops = loops

    def observe(self, service: str, seen: Observation, now_s: float) -> None:
        self._asked(lambda: self._predictor.observe(service, seen, now_s))

    def observe_replica(self, service: str, replica: str, values: Mapping[str, float], now_s: float) -> None:
        self._asked(lambda: self._predictor.observe_replica(service, replica, values, now_s))

    def forecast(self, service: str, now_s: float) -> Forecast | None:
        return self._asked(lambda: self._predictor.forecast(service, now_s))

    def capacity(self, service: str) -> Capacity | None:
        return self._asked(lambda: self._predictor.capacity(service))

    def cold_start_s(self, service: str) -> float | None:
        return self._asked(lambda: self._predictor.cold_start_s(service))

    def _asked(self, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except Exception as error:
            self._loops.failed(FORECASTING, error)
            return None
