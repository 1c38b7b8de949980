"""Turns what is seen now and then into means of bins that are over, numbered by wall time ÷ step. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping


class Bins:
    """Of one step. A clock that is set back yields nothing until it is where it was."""

    def __init__(self, step_s: int) -> None:
        self.step_s = step_s
        self._bin: int | None = None
        self._sums: dict[str, list[float]] = {}
        """Name → total, count."""

    def add(self, wall_s: float, values: Mapping[str, float | None]) -> tuple[int, dict[str, float]] | None:
        """The bin that this look shows to be over, with the means of what was known in it; None while it lasts."""
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
