"""Whether a replica that does not answer is hung, busy or held up by a disk. Pure.

Saturation is not death: a replica whose CPU time advances is working, however late its answers are. It is ended only
when it has not answered for `hang_limit_s`; one whose CPU stands still as soon as enough probes failed. A replica that
waits for a disk stands still by no fault of its own: an engine call is given `hang_limit_s`, however often it failed to
answer meanwhile.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from argosy.control.platforms.blocked import Blocked


@dataclass(frozen=True, slots=True)
class HangRule:
    probes: int = 3
    hang_limit_s: float = 60.0
    cpu_idle_s: float = 0.02
    """CPU time between two probes up to which a process counts as standing still."""


@dataclass(frozen=True, slots=True)
class EngineCall:
    """A call that a replica is in. Its age grows by the monotonic clock: a step of the wall clock must end nobody."""

    name: str
    since: float
    """As the replica wrote it; tells one call from the next."""
    seen_s: float
    """When it was first seen."""
    age_s: float
    """How old it was then."""

    def lasts_s(self, now_s: float) -> float:
        return self.age_s + now_s - self.seen_s


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a replica has not answered, and what its CPU did meanwhile."""

    since_s: float | None = None
    probes: int = 0
    cpu_s: float | None = None
    idle_probes: int = 0
    """Failed probes in a row since whose predecessor, a failed one too, CPU time did not advance."""
    call: EngineCall | None = None
    """The engine call that the replica was in when it last failed to answer."""


class HangVerdict(enum.Enum):
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
        cpu_s: CPU time of the process so far; None where the platform cannot tell (then it counts as standing still).
        call: the engine call that it is in, if any.
        on_disk: whether it is in uninterruptible sleep; that counts like CPU time that advances.
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
    """The engine call that the replica is in, known since it was first seen. A time in the future counts as now."""
    if found is None or not found.call:
        return None
    if before is not None and (before.name, before.since) == (found.call, found.since):
        return before
    return EngineCall(found.call, found.since, now_s, max(0.0, wall_s - found.since))
