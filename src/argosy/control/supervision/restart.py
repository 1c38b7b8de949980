"""Restart rules: the time at which an ended replica is started again. Pure: ends and starts go in with their times.

The backoff grows with each failure in a row and is reset after a stable period. A replica that keeps ending is in a
crash loop, which is reported and retried with a long backoff while the rest of the fleet runs on. On a full disk no
replica can run, so an end then does not count as a failure, and the start is retried until there is room.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RestartRule:
    """Backoff between restarts, and the limit for a crash loop."""

    first_backoff_s: float = 0.25
    factor: float = 2.0
    longest_backoff_s: float = 30.0
    jitter: float = 0.25
    """Largest random share by which a backoff is lengthened."""
    stable_s: float = 60.0
    """Time in which a ready replica becomes stable; its next failure counts as the first."""
    loop_failures: int = 5
    """Number of failures in a row that makes a crash loop."""
    loop_retry_s: float = 60.0
    full_disk_retry_s: float = 2.0


@dataclass(frozen=True, slots=True)
class RestartState:
    """Restarts of one slot, whichever process fills it."""

    failures: int = 0
    """Number of failures in a row, without a stable period between them."""
    restarts: int = 0
    due_s: float = 0.0
    """Monotonic time before which the replica must not be started."""
    ready_since_s: float | None = None
    last_reason: str = ""
    """Reason for the next restart; empty while the replica runs."""

    def looping(self, rule: RestartRule) -> bool:
        """Return whether the slot is in a crash loop."""
        return self.failures >= rule.loop_failures

    def is_due(self, now_s: float) -> bool:
        """Return whether the replica may be started now."""
        return now_s >= self.due_s


def became_ready(state: RestartState, now_s: float) -> RestartState:
    """Return the state after the replica became ready."""
    return replace(state, ready_since_s=now_s, last_reason="")


def was_started_again(state: RestartState) -> RestartState:
    """Return the state after a restart was begun."""
    return replace(state, restarts=state.restarts + 1, ready_since_s=None)


def lacked_room(state: RestartState, now_s: float, reason: str, rule: RestartRule) -> RestartState:
    """Return the state after an end or a failed start while the disk was full."""
    return replace(state, due_s=now_s + rule.full_disk_retry_s, ready_since_s=None, last_reason=reason)


def ended(state: RestartState, now_s: float, reason: str, rule: RestartRule, jitter: float) -> RestartState:
    """Return the state after an end that nobody asked for, or a failed start.

    Args:
        jitter: random number, uniform in [0, 1).
    """
    stable = state.ready_since_s is not None and now_s - state.ready_since_s >= rule.stable_s
    failures = 1 if stable else state.failures + 1
    if failures >= rule.loop_failures:
        wait_s = rule.loop_retry_s
    else:
        wait_s = min(rule.longest_backoff_s, rule.first_backoff_s * rule.factor ** (failures - 1))
    return replace(
        state,
        failures=failures,
        due_s=now_s + wait_s * (1 + rule.jitter * jitter),
        ready_since_s=None,
        last_reason=reason,
    )
