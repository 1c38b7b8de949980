"""When a replica that ended is started again. Pure: exits and starts with their times in, the next due time out.

Backoff grows with each failure in a row and is forgotten after a stable period. A replica that keeps ending is in a
crash loop: that is said loudly, the rest of the fleet goes on, and it is tried again slowly. On a full disk nothing
can run, whatever it is: that is no failure of the replica's, and it is tried again until there is room.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RestartRule:
    first_backoff_s: float = 0.25
    factor: float = 2.0
    longest_backoff_s: float = 30.0
    jitter: float = 0.25
    """Each backoff is stretched by a random share of itself, at most this much."""
    stable_s: float = 60.0
    """A replica that ran this long starts from the first backoff again."""
    loop_failures: int = 5
    """Failures in a row that make a crash loop."""
    loop_retry_s: float = 60.0
    full_disk_retry_s: float = 2.0


@dataclass(frozen=True, slots=True)
class RestartState:
    """One replica's place, whichever process fills it."""

    failures: int = 0
    """In a row, without a stable period between."""
    restarts: int = 0
    due_s: float = 0.0
    """On the monotonic clock; not before that may it be started."""
    ready_since_s: float | None = None
    last_reason: str = ""
    """Why it has to be started again; empty while it runs."""

    def looping(self, rule: RestartRule) -> bool:
        return self.failures >= rule.loop_failures

    def is_due(self, now_s: float) -> bool:
        return now_s >= self.due_s


def became_ready(state: RestartState, now_s: float) -> RestartState:
    return replace(state, ready_since_s=now_s, last_reason="")


def was_started_again(state: RestartState) -> RestartState:
    return replace(state, restarts=state.restarts + 1, ready_since_s=None)


def lacked_room(state: RestartState, now_s: float, reason: str, rule: RestartRule) -> RestartState:
    """After an end, or a start that failed, while the disk was full."""
    return replace(state, due_s=now_s + rule.full_disk_retry_s, ready_since_s=None, last_reason=reason)


def ended(state: RestartState, now_s: float, reason: str, rule: RestartRule, jitter: float) -> RestartState:
    """After an end that nobody asked for.

    Args:
        jitter: uniform in [0, 1).
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
