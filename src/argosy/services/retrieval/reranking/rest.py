"""Rest of an endpoint that fails: for a while it is not called, so that searches do not wait for it in vain."""

from __future__ import annotations

from argosy.contracts.request import Clock

FAILURES = 3
"""Consecutive failures from which the endpoint rests."""
FIRST_REST_S = 1.0
MOST_REST_S = 30.0


class Rest:
    """Time until which an endpoint is not called. After each rest, one success ends the series of failures."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._until_s = float("-inf")

    @property
    def failures(self) -> int:
        """Number of consecutive failures."""
        return self._failures

    def left_s(self) -> float:
        """Return the seconds for which the endpoint still rests; 0 when it may be called."""
        return max(0.0, self._until_s - self._clock())

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, retry_after_s: float | None) -> None:
        """Count a failure. The endpoint rests for the time that it asked for, or when it failed several times."""
        self._failures += 1
        rest_s = min(retry_after_s or 0.0, MOST_REST_S)
        if self._failures >= FAILURES:
            rest_s = max(rest_s, min(FIRST_REST_S * 2.0 ** min(self._failures - FAILURES, 16), MOST_REST_S))
        if rest_s > 0:
            self._until_s = max(self._until_s, self._clock() + rest_s)
