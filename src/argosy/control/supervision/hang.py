"""Whether a replica that does not answer is hung or busy. Pure.

Saturation is not death: a replica whose CPU time advances is working, however late its answers are. It is ended only
when it has not answered for `hang_limit_s`; one whose CPU stands still as soon as enough probes failed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HangRule:
    probes: int = 3
    hang_limit_s: float = 60.0
    cpu_idle_s: float = 0.02
    """CPU time between two probes up to which a process counts as standing still."""


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a replica has not answered, and what its CPU did meanwhile."""

    since_s: float | None = None
    probes: int = 0
    cpu_s: float | None = None
    idle_probes: int = 0
    """Failed probes in a row since whose predecessor, a failed one too, CPU time did not advance."""


class HangVerdict(enum.Enum):
    FINE = "fine"
    BUSY = "busy"
    HUNG = "hung"


def next_silence(
    silence: Silence, answered: bool, now_s: float, cpu_s: float | None, rule: HangRule
) -> tuple[Silence, HangVerdict]:
    """What a probe's outcome makes of it.

    Args:
        cpu_s: CPU time of the process so far; None where the platform cannot tell (then it counts as standing still).
    """
    if answered:
        return Silence(), HangVerdict.FINE
    if silence.since_s is None:
        return Silence(now_s, 1, cpu_s, 0), HangVerdict.BUSY
    moved = cpu_s is not None and silence.cpu_s is not None and cpu_s - silence.cpu_s > rule.cpu_idle_s
    seen = Silence(silence.since_s, silence.probes + 1, cpu_s, 0 if moved else silence.idle_probes + 1)
    stands_still = seen.idle_probes >= rule.probes - 1
    if seen.probes >= rule.probes and (stands_still or now_s - silence.since_s >= rule.hang_limit_s):
        return seen, HangVerdict.HUNG
    return seen, HangVerdict.BUSY
