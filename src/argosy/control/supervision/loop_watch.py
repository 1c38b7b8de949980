"""A thread that watches the controller's event loop: a loop that is blocked supervises nothing and cannot say so.

The loop beats; the thread looks once a second and counts looks without a beat. It counts looks, not seconds, so that a
process which was stopped and continued is not taken for a blocked one.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from argosy.telemetry.logs import logger

LOOK_EVERY_S = 1.0
EXIT_BLOCKED = 70
"""EX_SOFTWARE."""

log = logger("loop watch")


@dataclass(frozen=True, slots=True)
class BlockRule:
    warn_after: int = 10
    """Looks without a beat after which the stack of the loop is logged."""
    end_after: int = 120
    """Looks without a beat after which the process ends: the next controller adopts the fleet."""


class Beats:
    """Counts looks between beats. Pure but for the counter."""

    def __init__(self, rule: BlockRule) -> None:
        self._rule = rule
        self._missed = 0

    def beat(self) -> int:
        """The loop turns. Returns: how many looks it missed, 0 where that is too few to speak of."""
        missed, self._missed = self._missed, 0
        return missed if missed >= self._rule.warn_after else 0

    def look(self) -> str:
        """Returns: "blocked" once when a warning is due, "lost" when the process should end, else nothing."""
        self._missed += 1
        if self._missed >= self._rule.end_after:
            return "lost"
        return "blocked" if self._missed == self._rule.warn_after else ""


class LoopBlocked(Exception):
    """The event loop stood still for a while."""


class LoopWatch:
    def __init__(
        self,
        rule: BlockRule | None = None,
        look_every_s: float = LOOK_EVERY_S,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._beats = Beats(rule or BlockRule())
        self._look_every_s = look_every_s
        self._end = end
        self._ending = threading.Event()

    async def run(self) -> None:
        """Beat until cancelled. Raises: LoopBlocked, after the loop stood still; run it again then."""
        watched = threading.get_ident()
        self._ending = ending = threading.Event()
        threading.Thread(target=self._look, args=(watched, ending), name="loop-watch", daemon=True).start()
        try:
            while True:
                missed = self._beats.beat()
                if missed:
                    raise LoopBlocked(f"stood still for {missed * self._look_every_s:.0f} s")
                await asyncio.sleep(self._look_every_s / 2)
        finally:
            ending.set()

    def _look(self, watched: int, ending: threading.Event) -> None:
        while not ending.wait(self._look_every_s):
            verdict = self._beats.look()
            if verdict:
                frame = sys._current_frames().get(watched)
                stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
                log.error("event loop blocked" if verdict == "blocked" else "event loop lost", stack=stack)
            if verdict == "lost":
                self._end(EXIT_BLOCKED)
                return
