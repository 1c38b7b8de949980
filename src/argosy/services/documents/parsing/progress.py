"""Progress reports of a parse. There is one parse at a time: this module runs in the parser child only."""

from __future__ import annotations

import time
from collections.abc import Callable

LEAST_PAUSE_S = 1.0


class Progress:
    """Reporter of progress to one listener."""

    def __init__(self) -> None:
        self._tell: Callable[[], None] = lambda: None
        self._told_s = 0.0

    def listen(self, tell: Callable[[], None]) -> None:
        """Set the function that is called when there is progress."""
        self._tell = tell

    def step(self) -> None:
        """Report that a part of the document (a page, an attachment) is done, at most once in LEAST_PAUSE_S seconds."""
        now_s = time.monotonic()
        if now_s - self._told_s >= LEAST_PAUSE_S:
            self._told_s = now_s
            self._tell()


progress = Progress()
