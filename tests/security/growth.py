"""How the time of some work grows with the size of what is worked on."""

from __future__ import annotations

import time
from collections.abc import Callable

_TRIES = 3
_NOISE_S = 0.01
"""Below it, one interruption is a large share of the time."""


def grows_linearly(work: Callable[[int], object], size: int) -> bool:
    """Whether twice the size takes less than three times the processor time; work that grows with the square takes
    four times. A measurement that an interruption spoilt is repeated."""
    return any(_cpu_s(work, 2 * size) < 3 * max(_cpu_s(work, size), _NOISE_S) for _ in range(_TRIES))


def _cpu_s(work: Callable[[int], object], size: int) -> float:
    began_s = time.process_time()
    work(size)
    return time.process_time() - began_s
