"""Background loops that are restarted after an error.

A task that is not awaited ends silently after an error. `Loops` therefore runs each such task under a name: it logs an
error with its traceback, reports it to the health of the replica, and restarts the loop after a backoff that grows with
each failure. The reported trouble is cleared after the loop has run without an error for `well_s`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from argosy.contracts.errors import ArgosyError
from argosy.contracts.request import Clock
from argosy.telemetry.logs import logger

Task = asyncio.Task[None]
RUNNING, FAILING = "running", "failing"

log = logger("loops")


@dataclass(frozen=True, slots=True)
class LoopRule:
    """Backoff between restarts of a failing loop."""

    first_backoff_s: float = 0.5
    factor: float = 2.0
    longest_backoff_s: float = 30.0
    well_s: float = 60.0
    """Time without an error after which a loop counts as recovered."""

    def backoff_s(self, failures: int) -> float:
        """Return the pause in seconds after `failures` consecutive failures."""
        doublings = min(failures - 1, 64)
        return min(self.longest_backoff_s, self.first_backoff_s * self.factor**doublings)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Failures of one loop since it last ran without errors."""

    failures: int
    reason: str
    """Message of the last error if it is an ArgosyError, else the name of its class."""

    def describe(self, name: str) -> str:
        """Return one sentence about the failures of the loop `name`."""
        times = "" if self.failures == 1 else f" {self.failures} times"
        return f"{name} failed{times} ({self.reason})"


class LoopCancelled(Exception):
    """A cancellation arose inside the loop although the loop itself was not cancelled."""


async def _run(run: Callable[[], Awaitable[None]]) -> None:
    try:
        await run()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise LoopCancelled from error


def _ignore(name: str, before: str, after: str, why: str) -> None:
    return


class Loops:
    """Runner of named background loops that records failing ones. For one event loop; `close` ends all tasks."""

    def __init__(
        self,
        on_change: Callable[[str, str, str, str], None] = _ignore,
        rule: LoopRule | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Create a runner.

        `on_change` is called with name, state before, state after and reason when a loop begins to fail and when it has
        recovered.
        """
        self._on_change = on_change
        self._rule = rule or LoopRule()
        self._clock = clock
        self._troubles: dict[str, Trouble] = {}
        self._failed_s: dict[str, float] = {}
        self._clearing: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, run: Callable[[], Awaitable[None]], *, most_failures: int | None = None) -> Task:
        """Run the loop in its own task, as `keep` does. `close` cancels the task."""
        task = asyncio.create_task(self.keep(name, run, most_failures=most_failures), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def keep(self, name: str, run: Callable[[], Awaitable[None]], *, most_failures: int | None = None) -> None:
        """Call `run` until it returns; after an error, call it again after a backoff.

        Raises: the last error after `most_failures` consecutive failures.
        """
        while True:
            try:
                await _run(run)
            except Exception as error:
                backoff_s = self.failed(name, error)
                if most_failures is not None and self._troubles[name].failures >= most_failures:
                    raise
                await asyncio.sleep(backoff_s)
            else:
                return

    def failed(self, name: str, error: Exception) -> float:
        """Record a failure of the loop or of one of its rounds. Never raises.

        Returns: the seconds to wait before the next attempt.
        """
        before = self._troubles.get(name)
        reason = error.message if isinstance(error, ArgosyError) else type(error).__name__
        trouble = Trouble(1 if before is None else before.failures + 1, reason)
        self._troubles[name] = trouble
        self._failed_s[name] = self._clock()
        backoff_s = self._rule.backoff_s(trouble.failures)
        if before is None or before.reason != reason:
            log.error("loop failed", loop=name, failures=trouble.failures, again_in_s=backoff_s, exc_info=error)
        elif (
            trouble.failures.bit_count() == 1
        ):  # log only the 2nd, 4th, 8th … failure, so that a loop that always fails does not fill the log
            log.warning("loop failed again", loop=name, failures=trouble.failures, again_in_s=backoff_s, reason=reason)
        self._clear_after(name, backoff_s + self._rule.well_s)
        if before is None:
            self._tell(name, RUNNING, FAILING, trouble.describe(name))
        return backoff_s

    def reasons(self) -> list[str]:
        """Return one sentence for each failing loop."""
        now_s = self._clock()
        for name, trouble in list(self._troubles.items()):
            if now_s - self._failed_s[name] >= self._rule.backoff_s(trouble.failures) + self._rule.well_s:
                self._clear(name)
        return [trouble.describe(name) for name, trouble in self._troubles.items()]

    async def close(self) -> None:
        """End every loop that was started."""
        for handle in self._clearing.values():
            handle.cancel()
        self._clearing.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _clear_after(self, name: str, seconds: float) -> None:
        """Clear the trouble after `seconds`. Without a running event loop, the next call of `reasons` clears it."""
        if name in self._clearing:
            self._clearing.pop(name).cancel()
        with contextlib.suppress(RuntimeError):
            self._clearing[name] = asyncio.get_running_loop().call_later(seconds, self._clear, name)

    def _clear(self, name: str) -> None:
        handle = self._clearing.pop(name, None)
        if handle is not None:
            handle.cancel()
        self._failed_s.pop(name, None)
        trouble = self._troubles.pop(name, None)
        if trouble is not None:
            log.info("loop recovered", loop=name)
            self._tell(name, FAILING, RUNNING, f"no error for {self._rule.well_s:g} s")

    def _tell(self, name: str, before: str, after: str, why: str) -> None:
        try:
            self._on_change(name, before, after, why)
        except Exception as error:  # an error in the report must not end the loop
            log.error("reporting a loop's state failed", loop=name, exc_info=error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Retrieve the task's error, which is logged already, so that asyncio does not warn about it."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()
