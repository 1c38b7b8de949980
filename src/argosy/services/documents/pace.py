"""How long work takes, from work that is done. Pure: no clock, no database.

Work is counted in bytes, and a document costs `OVERHEAD_BYTES` beside its own: a thousand tiny files are not free.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OVERHEAD_BYTES = 4096


def work(size_bytes: int) -> int:
    """What a document of that size costs."""
    return size_bytes + OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Ended:
    """A document that is through: when it was begun and ended (any clock, seconds), and the work it was."""

    began_s: float
    ended_s: float
    work: float


def busy_s(ended: Iterable[Ended]) -> float:
    """Time in which at least one of them was in work."""
    total_s, until_s = 0.0, float("-inf")
    for run in sorted(ended, key=lambda run: run.began_s):
        total_s += max(0.0, run.ended_s - max(run.began_s, until_s))
        until_s = max(until_s, run.ended_s)
    return total_s


def seconds_per_work(ended: Iterable[Ended]) -> float | None:
    """Time in which something was in work, over the work that was done in it.

    Documents side by side share their time, and pauses in which nothing was in work count for nothing, so that the
    pace is that of the whole service with as many workers as it had. None when nothing was measured.
    """
    runs = list(ended)
    done = sum(run.work for run in runs)
    return busy_s(runs) / done if done > 0 else None


def remaining_s(pace: float, own: float, everything: float, lanes: int) -> float:
    """Seconds until `own` work is through, out of `everything` that waits; `lanes` senders take turns."""
    return min(max(own, everything), own * max(1, lanes)) * pace
