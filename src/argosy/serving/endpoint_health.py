"""Health of an endpoint outside the fleet, as the calls to it show."""

from __future__ import annotations

import time

from argosy.contracts.request import Clock

REMEMBERED_S = 300.0
"""Time for which a failure is reported when no later call has succeeded or failed."""


class EndpointHealth:
    """Reason of the last call's failure. Safe to use from several threads."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._failure: tuple[float, str] | None = None

    def worked(self) -> None:
        self._failure = None

    def failed(self, reason: str) -> None:
        self._failure = (self._clock(), reason.rstrip("."))

    def reason(self) -> str:
        """Return why the endpoint cannot be used; empty when its last call succeeded."""
        failure = self._failure
        if failure is None or self._clock() - failure[0] > REMEMBERED_S:
            return ""
        return failure[1]
