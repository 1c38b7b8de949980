"""What is recommended to the operator of a service that is scaled: by its last decision, else by the days before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields

import msgspec

from argosy.config.models import ServiceSettings
from argosy.contracts.request import Clock
from argosy.contracts.scaling import ScalingView
from argosy.control.planning.fixed import Ticks, fixed_enough, surest
from argosy.control.prediction.forecaster import Forecaster
from argosy.control.prediction.measures import FINE_KEPT_S
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.observation import Capacity
from argosy.control.scaling.scaler import Scaler
from argosy.telemetry.logs import logger

EVERY_S = 600.0
"""Days change little in less."""
MEASURES = tuple(field.name for field in fields(Ticks))

log = logger("planning")


@dataclass(frozen=True, slots=True)
class Kept:
    """Whether a fixed number would have done by that rule and model, as of that time."""

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
        """The scaler's, with what the recorded days recommend where its last decision asks nothing of the operator.

        Raises: NotFound.
        """
        view = self._scaler.view(name)
        if view.recommendation or view.fixed or view.min_instances == view.max_instances:
            return view
        return msgspec.structs.replace(view, recommendation=await self._fixed_number(name))

    async def _fixed_number(self, name: str) -> str:
        """Never raises: an order that was obeyed must not fail for it."""
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
                log.warning("no number recommended", planned=name, reason=str(error))
                return ""
            kept = self._kept[name] = Kept(rule, capacity, self._clock(), "" if found is None else found.advice())
        return kept.said
