"""Recommendation to the operator of a scaled service, by its last decision, else by the last days of history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields

import msgspec

from argosy.config.service import ServiceSettings
from argosy.contracts.request import Clock
from argosy.contracts.scaling import ScalingView
from argosy.control.history.measures import FINE_KEPT_S
from argosy.control.observation import Capacity
from argosy.control.planning.fixed import Ticks, fixed_enough, surest
from argosy.control.prediction.forecaster import Forecaster
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.scaler import Scaler
from argosy.telemetry.logs import logger

EVERY_S = 600.0
"""Least time between two computations, because days of history change little in less."""
MEASURES = tuple(field.name for field in fields(Ticks))

log = logger("planning")


@dataclass(frozen=True, slots=True)
class Kept:
    """Cached recommendation of a fixed number, valid for the given rule and capacity at that time."""

    rule: Rule
    capacity: Capacity
    at_s: float
    said: str

    def holds(self, rule: Rule, capacity: Capacity, now_s: float) -> bool:
        return (self.rule, self.capacity) == (rule, capacity) and now_s - self.at_s < EVERY_S


class Advice:
    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        scaler: Scaler,
        forecaster: Forecaster,
        clock: Clock = time.monotonic,
    ) -> None:
        self._services = services
        self._scaler = scaler
        self._forecaster = forecaster
        self._clock = clock
        self._kept: dict[str, Kept] = {}

    async def view(self, name: str) -> ScalingView:
        """Return the scaler's view, with a recommendation from the history when the last decision has none.

        Raises: NotFound when there is no such service.
        """
        view = self._scaler.view(name)
        if view.recommendation or view.fixed or view.min_instances == view.max_instances:
            return view
        return msgspec.structs.replace(view, recommendation=await self._fixed_number(name))

    async def _fixed_number(self, name: str) -> str:
        """Return the recommendation of a fixed number.

        Never raises: an order that was carried out must not fail because of it.
        """
        settings, rule = self._services[name].scaling, self._scaler.rule(name)
        slots = settings.slots if "slots" in settings.model_fields_set else None
        capacity = surest(self._forecaster.fitted(name), slots)
        if capacity is None:
            return ""
        kept = self._kept.get(name)
        if kept is None or not kept.holds(rule, capacity, self._clock()):
            try:
                read = await self._forecaster.ticks(name, MEASURES, FINE_KEPT_S)
                found = await asyncio.to_thread(fixed_enough, Ticks(**read), rule, capacity)
            except Exception as error:
                log.warning("recommending a fixed number failed", planned=name, reason=str(error))
                return ""
            kept = self._kept[name] = Kept(rule, capacity, self._clock(), "" if found is None else found.advice())
        return kept.said
