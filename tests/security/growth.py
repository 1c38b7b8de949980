"""Measurement of how the time of some work grows with the size of its input."""

from __future__ import annotations

import time
from collections.abc import Callable

_TRIES = 3
_NOISE_S = 0.01
"""Shortest usable measurement: below it, one interruption is a large share of the time."""


def grows_linearly(work: Callable[[int], object], size: int) -> bool:
    """Return whether twice the size takes less than three times the CPU time.

    Work that grows with the square of the size takes four times. A measurement spoilt by an interruption is repeated.
    """
    return any(_cpu_s(work, 2 * size) < 3 * max(_cpu_s(work, size), _NOISE_S) for _ in range(_TRIES))


def _cpu_s(work: Callable[[int], object], size: int) -> float:
    began_s = time.process_time()
    work(size)
    return time.process_time() - began_s
