"""Measurement of the time that a document spends in each stage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from argosy.contracts.request import Clock


class StageTimes:
    """Seconds that one document has spent in each stage so far."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def measured(self, stage: str) -> Iterator[None]:
        began_s = self._clock()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + self._clock() - began_s

    def split(self, stage: str, part: str, seconds: float) -> None:
        """Move `seconds` from `stage` to `part`, a stage that was measured inside it."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
        self.seconds[stage] -= seconds
