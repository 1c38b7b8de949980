"""Restart log of the slots: restart counts, due times, and their events."""

from __future__ import annotations

import functools
import random
import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from argosy.contracts.events import Event
from argosy.contracts.request import Clock
from argosy.control.events.feed import Feed
from argosy.control.monitoring.observed import Observed
from argosy.control.supervision.restart import (
    RestartRule,
    RestartState,
    became_ready,
    ended,
    lacked_room,
    was_started_again,
)
from argosy.control.supervision.restart_history import read_history
from argosy.telemetry.logs import logger

RECALLED_EVENTS = 20_000
LITTLE_ROOM_BYTES = 16 * 2**20
"""Free space below which the end of a replica is blamed on the disk: the store alone maps files of that size."""
NEVER_TRIED = RestartState()

log = logger("supervisor")


class RestartLog:
    """Restart states of all slots. The rules are in `restart`; this class applies, stores and reports them."""

    def __init__(
        self, observed: Observed, feed: Feed, rule: RestartRule, clock: Clock, disk_is_full: Callable[[], bool]
    ) -> None:
        self._observed = observed
        self._feed = feed
        self._rule = rule
        self._clock = clock
        self._disk_is_full = disk_is_full
        self._states: dict[str, RestartState] = {}

    def of(self, slot: str) -> RestartState:
        """Return the state of the slot."""
        return self._states.get(slot, NEVER_TRIED)

    def forget(self, slot: str) -> None:
        """Forget the state of a slot that is no longer desired."""
        self._states.pop(slot, None)

    def recall(self, slots: Iterable[str], alive: Collection[str]) -> None:
        """Take over the counts of a controller that died and left the replicas `alive`."""
        for slot in slots:
            seen = read_history(self._past, slot)
            self._states[slot] = RestartState(restarts=seen.restarts)
            self._observed.restarts[slot] = seen.restarts
            if seen.filled and slot not in alive:
                why = "it ended while no controller ran"
                self._feed.add("replica", slot, "unknown", "ended", why)
                self._states[slot] = replace(self._states[slot], last_reason=why)

    @functools.cached_property
    def _past(self) -> list[Event]:
        return self._feed.page(0, RECALLED_EVENTS).events

    def begins(self, slot: str) -> None:
        """Record that a process is about to be started in the slot."""
        state = self.of(slot)
        if state.last_reason:
            state = was_started_again(state)
            self._feed.add("replica", slot, "ended", "starting", f"restart after: {state.last_reason}")
        else:
            self._feed.add("replica", slot, "absent", "starting", "below the desired number of replicas")
        self._states[slot] = state
        self._observed.restarts[slot] = state.restarts

    def succeeded(self, slot: str) -> None:
        """Record that the replica in the slot is ready."""
        self._states[slot] = became_ready(self.of(slot), self._clock())

    def failed(self, service: str, slot: str, was: str, reason: str) -> None:
        """Record a failed start, or an end that nobody asked for.

        `was` is the state before: starting, ready or stopping.
        """
        if full := self._disk_is_full():
            reason = f"{reason} (the disk is full)"
            after = lacked_room(self.of(slot), self._clock(), reason, self._rule)
        else:
            after = ended(self.of(slot), self._clock(), reason, self._rule, random.random())
        self._states[slot] = after
        self._observed.failed(service, slot, reason)
        wait_s = after.due_s - self._clock()
        if not full and after.looping(self._rule):
            told = f"{reason}; {after.failures} failures in a row, trying again every {wait_s:.0f} s"
            self._observed.failed(service, slot, f"crash loop: {told}")
            self._feed.add("replica", slot, was, "crash loop", told)
            log.error("crash loop", slot=slot, reason=reason, failures=after.failures)
        else:
            self._feed.add("replica", slot, was, "ended", f"{reason}; starts again in {wait_s:.2g} s")


def is_full(folder: Path) -> bool:
    """Return whether the disk has less than LITTLE_ROOM_BYTES free; False when that is not known."""
    try:
        return shutil.disk_usage(folder).free < LITTLE_ROOM_BYTES
    except OSError:  # unknown space does not excuse the end of a replica
        return False
