"""Hang detection: a replica that does not answer is hung, busy, or waiting for a disk. Pure.

A replica whose CPU time advances is working, even when it is too saturated to answer probes. It is ended only when it
has not answered for `hang_limit_s`. A replica whose CPU time stands still is ended as soon as enough probes failed.
Waiting for a disk is not the fault of the replica: an engine call may last `hang_limit_s`, however many probes fail
meanwhile.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from argosy.control.platforms.blocked import Blocked


@dataclass(frozen=True, slots=True)
class HangRule:
    """Limits beyond which a replica that does not answer counts as hung."""

    probes: int = 3
    """Failed probes in a row before a replica can count as hung."""
    hang_limit_s: float = 60.0
    cpu_idle_s: float = 0.02
    """CPU time between two probes up to which a process counts as idle."""


@dataclass(frozen=True, slots=True)
class EngineCall:
    """Engine call that a replica is in.

    Its age grows with the monotonic clock, because a step of the wall clock must not end a replica.
    """

    name: str
    since: float
    """Wall time of its begin, as the replica wrote it; distinguishes one call from the next."""
    seen_s: float
    """Monotonic time at which the call was first seen."""
    age_s: float
    """Age of the call when it was first seen."""

    def lasts_s(self, now_s: float) -> float:
        """Return how long the call has lasted."""
        return self.age_s + now_s - self.seen_s


@dataclass(frozen=True, slots=True)
class Silence:
    """Time for which a replica has not answered, and its CPU use meanwhile."""

    since_s: float | None = None
    probes: int = 0
    cpu_s: float | None = None
    idle_probes: int = 0
    """Consecutive failed probes between which CPU time did not advance; the first failed probe does not count."""
    call: EngineCall | None = None
    """Engine call that the replica was in at its latest failed probe."""


class HangVerdict(enum.Enum):
    """Verdict about a replica after a probe."""

    FINE = "fine"
    BUSY = "busy"
    HUNG = "hung"


def next_silence(
    silence: Silence,
    answered: bool,
    now_s: float,
    cpu_s: float | None,
    rule: HangRule,
    call: EngineCall | None = None,
    on_disk: bool = False,
) -> tuple[Silence, HangVerdict]:
    """Judge the outcome of one probe.

    Args:
        cpu_s: CPU time of the process so far; None when the platform cannot measure it, which counts as idle.
        call: the engine call that the replica is in, if any.
        on_disk: whether a thread is in uninterruptible sleep, which counts as advancing CPU time.
    """
    if answered:
        return Silence(), HangVerdict.FINE
    if silence.since_s is None:
        return Silence(now_s, 1, cpu_s, 0, call), HangVerdict.BUSY
    worked = cpu_s is not None and silence.cpu_s is not None and cpu_s - silence.cpu_s > rule.cpu_idle_s
    moved = worked or on_disk
    seen = Silence(silence.since_s, silence.probes + 1, cpu_s, 0 if moved else silence.idle_probes + 1, call)
    if call is not None and call.lasts_s(now_s) < rule.hang_limit_s:
        return seen, HangVerdict.BUSY
    stands_still = seen.idle_probes >= rule.probes - 1
    if seen.probes >= rule.probes and (stands_still or now_s - silence.since_s >= rule.hang_limit_s):
        return seen, HangVerdict.HUNG
    return seen, HangVerdict.BUSY


def next_call(before: EngineCall | None, found: Blocked | None, now_s: float, wall_s: float) -> EngineCall | None:
    """Return the engine call that the replica is in, keeping the time at which it was first seen; None without a call.

    A begin in the future counts as now.
    """
    if found is None or not found.call:
        return None
    if before is not None and (before.name, before.since) == (found.call, found.since):
        return before
    return EngineCall(found.call, found.since, now_s, max(0.0, wall_s - found.since))
