"""How many requests may be in work at once. Past that the answer is 429, at once."""

from __future__ import annotations

from argosy.contracts.errors import Overloaded


class Admission:
    """Not a queue: what is admitted is worked on, what is not is told when to come back."""

    def __init__(self, service: str, max_in_flight: int) -> None:
        self._service = service
        self.max_in_flight = max_in_flight

    def admit(self, in_flight: int, latency_ms: float) -> None:
        """Raises: Overloaded when `in_flight` requests are already in work."""
        if in_flight >= self.max_in_flight:
            raise Overloaded(
                f"The {self._service} service has {self.max_in_flight} requests in work, its limit. "
                "Try again after the time in Retry-After.",
                retry_after_s=max(1.0, latency_ms / 1000),
            )
