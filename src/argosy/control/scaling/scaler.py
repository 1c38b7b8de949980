"""Scaling loop: reads observations, lets each service's policy decide, and carries out decisions.

It survives its own errors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Protocol

import msgspec

from argosy.config.service import ServiceSettings
from argosy.contracts.errors import Conflict
from argosy.contracts.request import Clock
from argosy.contracts.scaling import (
    Action,
    Decision,
    Reason,
    ScaleOrder,
    ScalingChange,
    ScalingView,
)
from argosy.control.events.feed import Feed
from argosy.control.history.history import History
from argosy.control.monitoring.observed import Observed
from argosy.control.observation import Observation
from argosy.control.scaling.decision import Rule
from argosy.control.scaling.limits import limited, overridden, restrained, towards
from argosy.control.scaling.override import Override
from argosy.control.scaling.predictor import GuardedPredictor, NoPredictor, Predictor
from argosy.control.scaling.reader import Reader
from argosy.control.scaling.registration import Registration
from argosy.control.scaling.registrations import Registrations
from argosy.control.scaling.scale_up_effect import judged, stepped_up
from argosy.serving.loops import Loops
from argosy.telemetry.logs import logger

SAVE_EVERY_S = 10.0
LOOKING = "reading of replicas"

KEPT_FROM_GROWING = (Reason.AT_MAXIMUM, Reason.HOST_FULL, Reason.START_FAILING, Reason.STEP_DID_NOT_HELP)
"""Reasons that need action by the operator. Decisions with these reasons are also published as events."""

log = logger("scaler")


class Crew(Protocol):
    """Supervisor, which starts and drains replicas."""

    def keeps(self, service: str) -> bool: ...

    def scale(self, service: str, replicas: int, why: str) -> None: ...


class Scaler:
    def __init__(
        self,
        services: Mapping[str, ServiceSettings],
        reader: Reader,
        observed: Observed,
        crew: Crew,
        feed: Feed,
        history: History,
        *,
        interval_s: float,
        predictor: Predictor | None = None,
        clock: Clock = time.monotonic,
        wall: Callable[[], float] = time.time,
        loops: Loops | None = None,
    ) -> None:
        """Create a scaler. Every failed look and failed decision is reported to `loops`."""
        self._registrations = Registrations(services, history, interval_s, clock, wall)
        self._reader = reader
        self._observed = observed
        self._crew = crew
        self._feed = feed
        self._interval_s = interval_s
        self._loops = loops or Loops(clock=clock)
        self._predictor: Predictor = GuardedPredictor(predictor or NoPredictor(), self._loops)
        self._clock = clock
        self._wall = wall
        self._saved_s = clock()

    def restore(self, alive: Collection[str]) -> None:
        """Restore what an earlier controller saved about the services that are alive. Call before replicas are started.

        A service of which no replica is alive starts as the fleet file says.
        """
        self._observed.desired.update(self._registrations.restore(alive))

    async def run(self) -> None:
        """Tick at every interval until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(self._interval_s)

    def tick(self) -> None:
        """Look at every service, and decide for each that is due. Raises nothing."""
        now_s = self._clock()
        try:
            self._reader.look(now_s, self._wall())
        except Exception as error:
            # Samples that were not read become stale, and then policies hold.
            self._loops.failed(LOOKING, error)
        for name, registration in self._registrations.by_name.items():
            try:
                if registration.fixed or not self._crew.keeps(name):
                    self._look(registration, now_s)
                else:
                    self._attend(registration, now_s)
            except Exception as error:
                self._loops.failed(f"scaling of {name}", error)
                current = self._observed.desired[name]
                failed = Decision(Action.NONE, current, Reason.POLICY_FAILED, {}, 0.0, type(error).__name__)
                registration.record(self._wall(), failed, False)
        if now_s - self._saved_s >= SAVE_EVERY_S:
            self._saved_s = now_s
            for registration in self._registrations.by_name.values():
                self._registrations.save(registration, self._observed.desired[registration.service])

    def _look(self, registration: Registration, now_s: float) -> Observation:
        """Observe a service, even one that is never scaled: its load and saturation are forecast all the same."""
        name, settings = registration.service, registration.rule.settings
        seen = self._reader.service(name, self._wall(), settings.stale_s)
        self._predictor.observe(name, seen, now_s)
        for replica, values in self._reader.each(name, self._wall(), settings.stale_s):
            self._predictor.observe_replica(name, replica, values, now_s)
        cold_start_s = self._predictor.cold_start_s(name)
        return seen if cold_start_s is None else replace(seen, cold_start_s=cold_start_s)

    def _attend(self, registration: Registration, now_s: float) -> None:
        name, settings = registration.service, registration.rule.settings
        seen = self._look(registration, now_s)
        seen = replace(seen, capacity=self._predictor.capacity(name), forecast=self._predictor.forecast(name, now_s))
        registration.payoff = judged(registration.payoff, seen, _slots(registration, seen), now_s)
        if registration.override is not None and not registration.override.holds(now_s):
            self._feed.add("scaling", name, "by hand", settings.policy, "the override has expired")
            registration.override = None
        if now_s >= registration.due_s:
            registration.due_s = now_s + registration.policy.interval_s(registration.rule)
            self._decide(registration, seen, now_s)

    def _decide(self, registration: Registration, seen: Observation, now_s: float) -> None:
        rule = registration.rule
        decision, registration.state = registration.policy.look(seen, registration.state, rule, now_s)
        if registration.override is not None:
            decision = overridden(decision, seen, registration.override, rule)
        elif rule.settings.undo:
            decision = limited(decision, seen, registration.payoff.limit(now_s), rule.min_instances)
        by_hand = registration.override is not None
        self._perform(registration, seen, decision, now_s, shadow=rule.settings.shadow and not by_hand)

    def _perform(
        self, registration: Registration, seen: Observation, decision: Decision, now_s: float, *, shadow: bool
    ) -> None:
        """Carry out a decision as far as the host and failing starts allow.

        The policy's cooldown and hold begin only when something is done.
        """
        name, wall_s = registration.service, self._wall()
        failing = self._observed.failure(name) if seen.ready < seen.replicas else ""
        decision = restrained(decision, seen, failing, self._reader.host(name))
        before, after = _replicas(seen.replicas), _replicas(decision.target_instances)
        why = f"{decision.reason}: {decision.binding}"
        if decision.action is Action.NONE:
            if registration.begins(decision.reason, now_s) and decision.reason in KEPT_FROM_GROWING:
                self._feed.add("scaling", name, before, before, why)
            registration.record(wall_s, decision, False)
            return
        if shadow:
            if registration.record(wall_s, decision, False):
                self._feed.add("scaling", name, before, before, f"shadow mode; would be {after}: {why}")
            return
        self._feed.add("scaling", name, before, after, why)
        self._crew.scale(name, decision.target_instances, why)
        registration.record(wall_s, decision, True)
        if decision.action is Action.SCALE_UP:
            slots = _slots(registration, seen)
            registration.payoff = stepped_up(registration.payoff, seen, decision.target_instances, slots, now_s)
        registration.state = registration.policy.stepped(registration.state, seen.replicas, decision, now_s)
        self._registrations.save(registration, self._observed.desired[registration.service])

    def rule(self, name: str) -> Rule:
        """Return the present rule of a service.

        Raises: NotFound when there is no such service.
        """
        return self._registrations.of(name).rule

    def views(self) -> list[ScalingView]:
        """Return the views of all services."""
        return [self.view(name) for name in self._registrations.by_name]

    def view(self, name: str) -> ScalingView:
        """Return the view of a service.

        Raises: NotFound when there is no such service.
        """
        registration = self._registrations.of(name)
        seen = self._reader.service(name, self._wall(), registration.rule.settings.stale_s)
        return registration.view(self._observed.desired[name], seen.ready, self._clock())

    def change(self, name: str, change: ScalingChange) -> None:
        """Change a service's scaling at run time; an error leaves it unchanged.

        Raises: NotFound when there is no such service; Conflict when it is never scaled; InvalidRequest when a value is
        wrong.
        """
        registration = self._registrations.of(name)
        registration.change(change)
        if _given(change):
            self._feed.add("scaling", name, "settings", "changed", _given(change))
        current = change.current_instances
        if current is not None and current != self._observed.desired[name]:
            seen = self._reader.service(name, self._wall(), registration.rule.settings.stale_s)
            why, action = "current_instances was set by hand", towards(seen.replicas, current)
            decision = Decision(action, current, Reason.MANUAL_OVERRIDE, binding=why)
            self._perform(registration, seen, decision, self._clock(), shadow=False)
        self._registrations.save(registration, self._observed.desired[registration.service])

    def order(self, name: str, order: ScaleOrder) -> None:
        """Apply an operator's number at once, until it expires. Without a number, the policy decides again.

        Raises: NotFound when there is no such service; Conflict when it is never scaled; InvalidRequest when the number
        is outside the bounds.
        """
        registration, now_s = self._registrations.of(name), self._clock()
        if registration.fixed:
            raise Conflict(f"{registration.fixed}.")
        if order.replicas is None:
            if registration.override is not None:
                self._feed.add(
                    "scaling", name, "by hand", registration.rule.settings.policy, "the override was removed"
                )
            registration.override, registration.due_s = None, 0.0
            self._registrations.save(registration, self._observed.desired[registration.service])
            return
        rule, known = registration.rule, registration.override
        asked = Override.asked(order.replicas, order.expires_s, name, rule, now_s)
        lasting = "until it is removed" if order.expires_s is None else f"for {order.expires_s:.0f} s"
        if known is None or known.replicas != order.replicas:
            self._feed.add("scaling", name, rule.settings.policy, "by hand", f"{_replicas(order.replicas)} {lasting}")
        registration.override, registration.due_s = asked, 0.0
        self._attend(registration, now_s)
        self._registrations.save(registration, self._observed.desired[registration.service])


def _slots(registration: Registration, seen: Observation) -> float:
    learnt = seen.capacity is not None and seen.capacity.learnt
    return seen.capacity.slots if learnt and seen.capacity is not None else registration.rule.settings.slots


def _given(change: ScalingChange) -> str:
    fields = msgspec.structs.asdict(change)
    return ", ".join(f"{key} = {value}" for key, value in fields.items() if value is not None)


def _replicas(count: int) -> str:
    return f"{count} replica{'' if count == 1 else 's'}"
