"""Watch over the controller's event loop by a thread, because a blocked loop supervises nothing and cannot report it.

The loop beats. The thread looks once a second and counts the looks without a beat. It counts looks instead of seconds,
so that a process that was stopped and continued does not count as blocked.
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
"""Exit status EX_SOFTWARE of sysexits.h."""

log = logger("loop watch")


@dataclass(frozen=True, slots=True)
class BlockRule:
    """Limits for a blocked event loop."""

    warn_after: int = 10
    """Looks without a beat after which the stack of the loop is logged."""
    end_after: int = 120
    """Looks without a beat after which the process ends. The next controller adopts the fleet."""


class Beats:
    """Counter of looks between beats."""

    def __init__(self, rule: BlockRule) -> None:
        self._rule = rule
        self._missed = 0

    def beat(self) -> int:
        """Record a beat of the loop. Returns: the number of missed looks, 0 when there were fewer than `warn_after`."""
        missed, self._missed = self._missed, 0
        return missed if missed >= self._rule.warn_after else 0

    def look(self) -> str:
        """Record a look of the thread.

        Returns: "blocked" once, when a warning is due; "lost" when the process should end; otherwise "".
        """
        self._missed += 1
        if self._missed >= self._rule.end_after:
            return "lost"
        return "blocked" if self._missed == self._rule.warn_after else ""


class LoopBlocked(Exception):
    """Raised when the event loop did not run for a while."""


class LoopWatch:
    """Watch over one event loop."""

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
        """Beat until cancelled. Raises: LoopBlocked after the loop was blocked; call `run` again then."""
        watched = threading.get_ident()
        self._ending = ending = threading.Event()
        threading.Thread(target=self._look, args=(watched, ending), name="loop-watch", daemon=True).start()
        try:
            while True:
                missed = self._beats.beat()
                if missed:
                    raise LoopBlocked(f"blocked for {missed * self._look_every_s:.0f} s")
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
