"""Binning of irregular samples into means of completed bins, numbered by wall time ÷ step. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping


class Bins:
    """Bins of one step. After the clock is set back, no bin is returned until the clock reaches its earlier time."""

    def __init__(self, step_s: int) -> None:
        self.step_s = step_s
        self._bin: int | None = None
        self._sums: dict[str, list[float]] = {}
        """Total and count by name."""

    def add(self, wall_s: float, values: Mapping[str, float | None]) -> tuple[int, dict[str, float]] | None:
        """Add a sample.

        Returns: the number of the bin that this sample shows to be over, with the means of its known values; else None.
        """
        now, done = int(wall_s // self.step_s), None
        if self._bin is not None and now < self._bin:
            return None
        if self._bin is not None and now > self._bin:
            done = self._bin, {name: total / count for name, (total, count) in self._sums.items()}
            self._sums = {}
        self._bin = now
        for name, value in values.items():
            if value is not None and 0 <= value < math.inf:
                known = self._sums.get(name)
                if known is None:
                    self._sums[name] = [value, 1]
                else:
                    known[0] += value
                    known[1] += 1
        return done
