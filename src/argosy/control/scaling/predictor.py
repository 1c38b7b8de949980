"""Interface of prediction for scaling. Prediction returns None when it knows nothing, and policies work without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from argosy.control.observation import Capacity, Forecast, Observation
from argosy.serving.loops import Loops

FORECASTING = "forecasting"

T = TypeVar("T")


class Predictor(Protocol):
    """Predictor of a fleet. Each call takes well under a millisecond; fits run in another process."""

    def observe(self, service: str, seen: Observation, now_s: float) -> None:
        """Learn from an observation; called at every look, even when values are missing."""
        ...

    def observe_replica(self, service: str, replica: str, values: Mapping[str, float], now_s: float) -> None:
        """Record the measurements of one ready replica, by series name."""
        ...

    def forecast(self, service: str, now_s: float) -> Forecast | None: ...

    def capacity(self, service: str) -> Capacity | None: ...

    def cold_start_s(self, service: str) -> float | None:
        """Return the cold start to plan with; None when no start was seen.

        It is learnt from observed starts, including those that earlier controllers saw.
        """
        ...


class NoPredictor:
    """Predictor that knows nothing."""

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
    """Predictor that returns None when the wrapped one fails. Scaling continues, and health shows the failure."""

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
